"""How soon `lema serve` is ready beside a bare `vllm serve`: the same model and arguments, one server at a time.

    .venv/bin/python benchmarks/serving_start.py [MODEL]

A bare server is ready when it answers `/health`, ours when a real answer has been generated. `bare` has vLLM's own
defaults and `bare1` its scheduler and worker in one process, as ours has on a CPU. `ours` starts Ray and Serve too;
`joined` is ours on a Ray cluster that is there already.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
from pathlib import Path

from serving import ready_after, sides_of, stop

from lema_ray.engines.launch import free_port
from lema_ray.models import resolve_model

ROUNDS = 3
SIDES = {"bare": "bare", "bare1": "bare1", "ours": "haproxy", "joined": "ours"}
"""What `serving.py` calls them; the joined one has Serve's own proxy."""


def main() -> None:
    """Start every side alone, in turns, and print the seconds."""
    path = resolve_model(next(iter(sys.argv[1:]), "demo/word-problems"))
    took: dict[str, list[float]] = {name: [] for name in SIDES}
    address = f"127.0.0.1:{free_port()}"
    for _ in range(ROUNDS):
        for name, kind in SIDES.items():
            if name == "joined":
                took[name].append(_joined(path, kind, address))
            else:
                took[name].append(_seconds(path, kind))
            print(f"{name:6} {took[name][-1]:5.1f} s", flush=True)
    for name, seconds in took.items():
        print(f"{name:6} median {statistics.median(seconds):.1f} s")


def _joined(path: str, kind: str, address: str) -> float:
    _ray("start", "--head", "--port", address.rpartition(":")[2], "--num-cpus", "4", "--include-dashboard=false")
    os.environ |= (there := {"RAY_ADDRESS": address, "RAY_AUTH_MODE": "token"})
    try:
        return _seconds(path, kind)
    finally:
        for name in there:
            del os.environ[name]
        _ray("stop")


def _ray(*arguments: str) -> None:
    subprocess.run([Path(sys.executable).with_name("ray"), *arguments], check=True, stdout=subprocess.DEVNULL)


def _seconds(path: str, kind: str) -> float:
    processes, urls = sides_of(path, [kind])
    try:
        return asyncio.run(ready_after(urls[kind] + ("/health" if kind.startswith("bare") else "/readyz")))
    finally:
        stop(processes)


if __name__ == "__main__":
    main()
