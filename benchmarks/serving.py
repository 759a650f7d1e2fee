"""`lema serve` beside a bare `vllm serve`: the same model, arguments, requests and minutes.

    .venv/bin/python benchmarks/serving.py [MODEL] [--haproxy]

All are up at once and take turns, so that other work on the machine hits them alike; one that waits uses no CPU.
`bare` has vLLM's own defaults, `bare1` its scheduler and worker in one process as ours has on a CPU; `--haproxy` adds
ours with HAProxy in the place of Ray Serve's own proxy. Streamed chats of 64 new tokens; closed loop: so many clients
each send one and then the next; open loop: they come at random moments.
"""

from __future__ import annotations

import asyncio
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from lema_ray.engines.launch import free_port
from lema_ray.engines.vllm_arguments import ONE_PROCESS
from lema_ray.models import resolve_model
from serve.config import KeyLimits
from serve.keys import add_key

KEYS = Path(tempfile.mkdtemp()) / "keys.yaml"
KEY = add_key(KEYS, "bench", KeyLimits())
HEADERS = {"authorization": f"Bearer {KEY}"}
LOADS = {1: 16, 8: 64, 32: 128, 128: 256}
"""Requests per round by concurrency."""
ROUNDS = 3
OPEN = 256
"""Requests of a round of the open loop."""
NEAR = 0.8
"""The open loop's requests a second, as a part of the bare server's most in the closed loop."""
NEW_TOKENS = 64
ENGINE = {"max_num_seqs": 64, "cpu_kv_cache_gb": 0.5}


@dataclass
class Measured:
    """One side under one load."""

    first_ms: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)

    def line(self) -> str:
        """Medians, and the 99th percentile of the time to the first token."""
        return f"{statistics.median(self.rates):7.2f} req/s, first token p50 {self.p(50):6.1f} p99 {self.p(99):6.1f} ms"

    def p(self, percent: int) -> float:
        """A percentile of the time to the first token, in ms."""
        ordered = sorted(self.first_ms)
        return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


async def closed_loop(url: str, model: str, clients: int, requests: int, into: Measured) -> None:
    """One round."""
    numbers = iter(range(requests))

    async def client(session: aiohttp.ClientSession) -> None:
        for number in numbers:
            into.first_ms.append(await _first_token_ms(session, url, model, number))

    start = time.perf_counter()
    async with _session() as session:
        await asyncio.gather(*(client(session) for _ in range(clients)))
    into.rates.append(requests / (time.perf_counter() - start))


async def open_loop(url: str, model: str, rate: float, into: Measured) -> None:
    """One round of `OPEN` requests, `rate` a second on average, at the same random moments for every side."""
    gaps = random.Random(len(into.rates))
    start = time.perf_counter()
    async with _session() as session, asyncio.TaskGroup() as group:
        asked = []
        for number in range(OPEN):
            asked.append(group.create_task(_first_token_ms(session, url, model, number)))
            await asyncio.sleep(gaps.expovariate(rate))
    into.first_ms += [one.result() for one in asked]
    into.rates.append(OPEN / (time.perf_counter() - start))


def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(headers=HEADERS, connector=aiohttp.TCPConnector(limit=0))


async def _first_token_ms(session: aiohttp.ClientSession, url: str, model: str, number: int) -> float:
    body = {
        "model": model,
        "messages": [{"role": "user", "content": f"Tom has {number} apples and buys 3 more. How many has he?"}],
        "max_tokens": NEW_TOKENS,
        "ignore_eos": True,
        "stream": True,
    }
    sent, first = time.perf_counter(), None
    async with session.post(f"{url}/v1/chat/completions", json=body) as answer:
        assert answer.status == 200, await answer.text()
        async for line in answer.content:
            # The first event has the role only.
            if first is None and b'"content":"' in line and b'"content":""' not in line:
                first = time.perf_counter() - sent
    assert first is not None
    return first * 1000


def _start(name: str, command: Sequence[str], **environment: str) -> subprocess.Popen[bytes]:
    log = open(f"/tmp/serving-{name}.log", "wb")  # noqa: SIM115
    return subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True, env=os.environ | environment)


def _bare(path: str, port: int) -> list[str]:
    arguments = f"--served-model-name {path} --port {port} --host 127.0.0.1 --dtype float32 --enforce-eager"
    arguments += f" --no-enable-chunked-prefill --max-num-seqs {ENGINE['max_num_seqs']} --enable-prefix-caching"
    arguments += f" --kv-cache-memory-bytes {int(ENGINE['cpu_kv_cache_gb'] * 2**30)}"
    arguments += f" --disable-uvicorn-access-log --api-key {KEY}"
    return [sys.executable, "-m", "vllm.entrypoints.launchers.api_server.entry", "--model", path, *arguments.split()]


def _ours(path: str, port: int) -> list[str]:
    settings = [f"--set=engine.{name}={value}" for name, value in ENGINE.items()]
    settings += [f"--set=name={path}", "--set=access_log=/tmp/serving-access.log", f"--api-keys={KEYS}"]
    return [sys.executable, "-m", "lema_ray.cli", "serve", path, "--port", str(port), *settings]


async def ready_after(url: str) -> float:
    """Seconds until a server answers."""
    start = time.perf_counter()
    async with aiohttp.ClientSession() as session:
        while time.perf_counter() - start < 600:
            try:
                async with session.get(url) as answer:
                    if answer.status == 200:
                        return time.perf_counter() - start
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.2)
    raise SystemExit(f"{url} did not answer; see /tmp/serving-*.log")


async def _measure(urls: dict[str, str], path: str) -> None:
    most = 0.0
    for clients, requests in LOADS.items():
        sides = await _in_turns(urls, lambda url, into: closed_loop(url, path, clients, requests, into))  # noqa: B023
        _print(f"{clients:3} clients", sides)
        most = max(most, statistics.median(sides["bare"].rates))
    sides = await _in_turns(urls, lambda url, into: open_loop(url, path, NEAR * most, into))
    _print(f"{NEAR * most:.1f} requests/s, open loop", sides)


async def _in_turns(
    urls: dict[str, str], load: Callable[[str, Measured], Coroutine[Any, Any, None]]
) -> dict[str, Measured]:
    sides = {name: Measured() for name in urls}
    for url in urls.values():
        await load(url, Measured())
    for _ in range(ROUNDS):
        for name, url in urls.items():
            await load(url, sides[name])
    return sides


def _print(load: str, sides: dict[str, Measured]) -> None:
    bare = sides["bare"]
    for name, side in sides.items():
        ratio = statistics.median(side.rates) / statistics.median(bare.rates)
        more = f"throughput {ratio:.2f}, first token p50 {side.p(50) - bare.p(50):+.1f} ms"
        print(f"{load} {name:7}: {side.line()}; {more}", flush=True)


def sides_of(path: str, names: Sequence[str]) -> tuple[dict[str, subprocess.Popen[bytes]], dict[str, str]]:
    """Servers of a model that are starting, and their URLs, by name."""
    ports = {name: free_port() for name in names}
    sides = {}
    for name, port in ports.items():
        if name.startswith("bare"):
            more = ["--distributed-executor-backend", ONE_PROCESS] if name == "bare1" else []
            quiet = {"TORCHDYNAMO_DISABLE": "1", "VLLM_NO_USAGE_STATS": "1"} | (
                {"OMP_NUM_THREADS": "1"} if more else {}
            )
            sides[name] = _start(name, _bare(path, port) + more, **quiet)
        else:
            sides[name] = _start(name, [*_ours(path, port), "--haproxy" if name == "haproxy" else "--no-haproxy"])
    return sides, {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}


def wait_ready(urls: dict[str, str]) -> None:
    """Return when all answer, and say how long that took."""
    for name, url in urls.items():
        seconds = asyncio.run(ready_after(url + ("/health" if name.startswith("bare") else "/readyz")))
        print(f"{name} ready after {seconds:.0f} s more", flush=True)


def stop(sides: dict[str, subprocess.Popen[bytes]]) -> None:
    """End the servers."""
    for process in sides.values():
        # Not its group: `lema serve` ends Serve and Ray itself.
        process.terminate()
    for process in sides.values():
        process.wait(60)


def main() -> None:
    """Start all, measure, stop all."""
    path = resolve_model(next((a for a in sys.argv[1:] if not a.startswith("-")), "demo/word-problems"))
    sides, urls = sides_of(path, ["bare", "bare1", "ours", *(["haproxy"] if "--haproxy" in sys.argv else [])])
    try:
        wait_ready(urls)
        asyncio.run(_measure(urls, path))
    finally:
        stop(sides)


if __name__ == "__main__":
    main()
