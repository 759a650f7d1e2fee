"""The version set of whoever submits a run, told to the job, which refuses to run with another one.

A job runs what its cluster has installed. With another lema_ray its run folder would be read differently, with another
Ray or vLLM its pickles and seeds would not be the same, and neither says so by itself.
Used by `manifests`, `submit` and `jobs/`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from importlib import metadata

import lema_ray
from lema_ray.config import ConfigError

VARIABLE = "LEMA_SUBMITTED_WITH"
COMPARED = ("ray", "vllm", "torch", "transformers")


def own_versions() -> dict[str, str]:
    """What decides whether two installations are alike. A CPU build and a GPU build of one version are."""
    found = {"lema-ray": lema_ray.__version__}
    for library in COMPARED:
        for name in (library, f"{library}-cpu"):
            try:
                found.setdefault(library, metadata.version(name).partition("+")[0])
            except metadata.PackageNotFoundError:
                continue
    return found


def to_variable(libraries: Sequence[str] = ("lema-ray", *COMPARED)) -> str:
    """What the submitter puts in the job's environment."""
    return json.dumps({name: version for name, version in own_versions().items() if name in libraries})


def check_same_versions() -> None:
    """Raise `ConfigError` that names both when the submitter's installation is another; without one it passes."""
    submitted = json.loads(os.environ.get(VARIABLE) or "{}")
    here = own_versions()
    other = [f"{k} {v} there, {here.get(k, 'none')} here" for k, v in submitted.items() if here.get(k) != v]
    if other:
        raise ConfigError(
            f"submitted with another version than this cluster's image has: {'; '.join(other)}."
            " Use the image of the submitter's version, or submit from an installation like the image."
        )
