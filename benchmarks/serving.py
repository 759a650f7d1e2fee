"""`lema serve` beside a bare `vllm serve`: the same model, arguments, requests and minutes.

    .venv/bin/python benchmarks/serving.py [MODEL] [--haproxy]

Both are up at once and take turns, so that other work on the machine hits both alike; one that waits uses no CPU.
Closed loop: so many clients each send a streamed chat of 64 new tokens and then the next.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from lema_ray.models import resolve_model
from serve.config import KeyLimits
from serve.keys import add_key

KEYS = Path(tempfile.mkdtemp()) / "keys.yaml"
KEY = add_key(KEYS, "bench", KeyLimits())
HEADERS = {"authorization": f"Bearer {KEY}"}
LOADS = {1: 16, 8: 64, 32: 128}
"""Requests per round by concurrency."""
ROUNDS = 3
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
    async with aiohttp.ClientSession(headers=HEADERS, connector=aiohttp.TCPConnector(limit=0)) as session:
        start = time.perf_counter()
        await asyncio.gather(*(_client(session, url, model, numbers, into) for _ in range(clients)))
        into.rates.append(requests / (time.perf_counter() - start))


async def _client(session: aiohttp.ClientSession, url: str, model: str, numbers: object, into: Measured) -> None:
    for number in numbers:  # type: ignore[attr-defined]
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
        into.first_ms.append(first * 1000)


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


async def _ready(url: str) -> float:
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
    for clients, requests in LOADS.items():
        sides = {name: Measured() for name in urls}
        for url in urls.values():
            await closed_loop(url, path, clients, max(8, clients), Measured())
        for _ in range(ROUNDS):
            for name, url in urls.items():
                await closed_loop(url, path, clients, requests, sides[name])
        bare, ours = sides["bare"], sides["ours"]
        ratio = statistics.median(ours.rates) / statistics.median(bare.rates)
        for name, side in sides.items():
            print(f"{clients:3} clients {name}: {side.line()}", flush=True)
        print(
            f"{clients:3} clients: throughput {ratio:.2f}, first token p50 {ours.p(50) - bare.p(50):+.1f} ms",
            flush=True,
        )


def main() -> None:
    """Start both, measure, stop both."""
    path = resolve_model(next((a for a in sys.argv[1:] if not a.startswith("-")), "demo/word-problems"))
    ports = {"bare": _free_port(), "ours": _free_port()}
    extra = {"RAY_SERVE_ENABLE_HA_PROXY": "1"} if "--haproxy" in sys.argv else {}
    sides = {
        "bare": _start("bare", _bare(path, ports["bare"]), TORCHDYNAMO_DISABLE="1", VLLM_NO_USAGE_STATS="1"),
        "ours": _start("ours", _ours(path, ports["ours"]), **extra),
    }
    try:
        urls = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
        for name, health in (("bare", "/health"), ("ours", "/readyz")):
            print(f"{name} ready after {asyncio.run(_ready(urls[name] + health)):.0f} s", flush=True)
        asyncio.run(_measure(urls, path))
    finally:
        for process in sides.values():
            os.killpg(process.pid, signal.SIGTERM)
        for process in sides.values():
            process.wait(60)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
