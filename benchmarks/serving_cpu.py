"""Whose processor time a served request takes: the sides of `serving.py`.

    .venv/bin/python benchmarks/serving_cpu.py [MODEL]

One server at a time; 32 clients, streamed chats of 64 new tokens. Milliseconds of CPU a request by process say where
the time goes that the rates of `serving.py` show to be lost.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections import Counter

import psutil
from serving import Measured, closed_loop, sides_of, stop, wait_ready

from lema_ray.models import resolve_model

CLIENTS, REQUESTS = 32, 256
KNOWN = {
    "ServeReplica:default:Model": "replica",
    "ProxyActor": "Serve's proxy",
    "haproxy": "HAProxy",
    "VLLM::EngineCore": "engine core",
    "VLLM::Worker": "engine worker",
    "api_server": "API server",
}


def cpu_by_process(server: subprocess.Popen[bytes]) -> Counter[str]:
    """Seconds of CPU so far of a server's processes, by what they are."""
    seconds = Counter[str]()
    top = psutil.Process(server.pid)
    for process in (top, *top.children(recursive=True)):
        try:
            line, times = " ".join(process.cmdline()), process.cpu_times()
        except psutil.Error:
            continue
        name = next((said for part, said in KNOWN.items() if part in line), "rest of Ray")
        seconds[name] += times.user + times.system
    return seconds


def main() -> None:
    """Start, load and stop each side in turn."""
    path = resolve_model(next((a for a in sys.argv[1:] if not a.startswith("-")), "demo/word-problems"))
    for name in ("bare", "bare1", "ours", "haproxy"):
        sides, urls = sides_of(path, [name])
        try:
            wait_ready(urls)
            asyncio.run(closed_loop(urls[name], path, CLIENTS, 2 * CLIENTS, Measured()))
            before, measured = cpu_by_process(sides[name]), Measured()
            asyncio.run(closed_loop(urls[name], path, CLIENTS, REQUESTS, measured))
            spent = cpu_by_process(sides[name]) - before
            each = ", ".join(f"{who} {1000 * seconds / REQUESTS:.1f}" for who, seconds in spent.most_common())
            print(f"{name}: {measured.line()}; ms of CPU a request: {each}", flush=True)
        finally:
            stop(sides)


if __name__ == "__main__":
    main()
