"""What a job brings to its cluster: the code and the config, without what is large, private or made by a run.

Ray packs a working directory into one message and says little when it is too large, so the files are chosen and
measured here, before anything is sent. Used by `submit`.
"""

from __future__ import annotations

import fnmatch
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import yaml

from lema_ray.config import ConfigError, RunConfig

EXCLUDED = (
    *(".*", "__pycache__", "*.egg-info", "build", "dist", "runs", "manifests"),
    *("tests", "docs", "benchmarks", "cluster", "scripts", "versions-cpu.lock"),
    *("*.safetensors", "*.gguf", "*.bin", "*.pt", "*.pem", "*.key", "*.token"),
)
"""Names of files and folders, at any depth. Hidden ones are left out too: `.env`, `.git`, `.venv`."""
LARGEST_MB = 50.0
CONFIG = "run.yaml"


def pack(config: RunConfig, source: Path, target: Path, exclude: Sequence[str] = ()) -> float:
    """Copy what a job needs from `source` to `target`, with the resolved config; returns megabytes.

    Raises `ConfigError` when that is more than `LARGEST_MB`, naming the largest files, or when it is no checkout.
    """
    if not (source / "jobs" / "run.py").exists():
        raise ConfigError(f"{source}: no jobs/run.py there; name a checkout of lema_ray by --working-dir")
    files = sorted(_files(source, (*EXCLUDED, *exclude)), key=lambda f: -f.stat().st_size)
    megabytes = sum(f.stat().st_size for f in files) / 1e6
    if megabytes > LARGEST_MB:
        shown = ", ".join(f"{f.relative_to(source)} ({f.stat().st_size / 1e6:.0f} MB)" for f in files[:5])
        raise ConfigError(
            f"{source}: {megabytes:.0f} MB to upload, at most {LARGEST_MB:g}; the largest: {shown}."
            " Leave them out by --exclude NAME, or put data where the cluster reads it."
        )
    for file in files:
        to = target / file.relative_to(source)
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(file, to)
    text = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    (target / CONFIG).write_text(text)
    return megabytes


def _files(source: Path, excluded: Sequence[str]) -> Iterator[Path]:
    def kept(name: str) -> bool:
        return not any(fnmatch.fnmatch(name, pattern) for pattern in excluded)

    for folder, folders, files in os.walk(source):
        folders[:] = filter(kept, folders)
        yield from (Path(folder, name) for name in files if kept(name))
