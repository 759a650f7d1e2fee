"""Minutes of everything at once against `lema serve`, and what became of every request.

    .venv/bin/python benchmarks/soak.py [MINUTES] [MODEL] [--haproxy]

Mixed load (plain, streamed, self-correcting, several choices), clients that leave, slow readers, malformed and
oversized requests, wrong keys, half-open connections; the replica is killed every five minutes (of a short run once)
and the model replaced once. At the end nothing may be left: requests in the engine, memory, file handles.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import random
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path
from typing import Any

import aiohttp
import psutil

from lema_ray.engines.launch import free_port

POLICIES = ("off", "spontaneous", "revise", "critique", "verify", "vote")
REFUSALS = (429, 503)
WATCHED = ("ServeReplica:default:Model", "VLLM::EngineCor", "ProxyActor", "haproxy", "ServeReplica:default:Desk")


@dataclass
class Outcomes:
    """What became of requests: `counts` by kind and end, `failed` those without an answer or a clear refusal."""

    counts: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)

    @property
    def answered(self) -> int:
        """Requests with a whole answer."""
        return sum(count for what, count in self.counts.items() if what.endswith(" 200"))

    def add(self, kind: str, status: int, expected: tuple[int, ...], detail: str = "") -> None:
        """Count one request."""
        self.counts[f"{kind} {status}"] += 1
        if status not in expected:
            self.failed.append(f"{kind}: {status} {detail[:200]}")


class Client:
    """One client of many, each with its own habits."""

    def __init__(self, session: aiohttp.ClientSession, url: str, key: str, outcomes: Outcomes, seed: int) -> None:
        self._session, self._url, self._outcomes = session, url, outcomes
        self._headers = {"authorization": f"Bearer {key}"}
        self._random = random.Random(seed)
        self._kinds: list[tuple[Callable[[], Any], int]] = [(self.plain, 6)]

    def misbehaving(self) -> Client:
        """The same, with everything that a server in public meets."""
        self._kinds += [(self.policy, 4), (self.leaves, 3), (self.slow, 1), (self.malformed, 1), (self.oversized, 1)]
        self._kinds += [(self.wrong_key, 1), (self.half_open, 1)]
        return self

    async def run(self, until: Callable[[], bool], pause_s: float) -> None:
        """Request after request, with pauses."""
        kinds, weights = zip(*self._kinds, strict=True)
        while not until():
            kind = self._random.choices(kinds, weights)[0]
            name = kind.__name__
            try:
                await kind()
            except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
                self._outcomes.add(name, 0, (), f"{type(error).__name__} {error}")
                await asyncio.sleep(0.2)
            await asyncio.sleep(pause_s)

    async def plain(self) -> None:
        """A chat, streamed or not."""
        streamed = self._random.random() < 0.5
        body = self._body(stream=streamed, n=self._random.choice((1, 1, 3)))
        async with self._post(body) as answer:
            text = await answer.text()
            whole = not streamed or (text.endswith("data: [DONE]\n\n") and '"error"' not in text)
            self._outcomes.add("plain", answer.status if whole else -1, (200, *REFUSALS), text[-200:])

    async def policy(self) -> None:
        """A chat under a policy; its trace has to be whole."""
        policy = self._random.choice(POLICIES)
        body = self._body(self_correction={"policy": policy, "samples": 3}, stream=self._random.random() < 0.5)
        async with self._post(body) as answer:
            text = await answer.text()
            status = answer.status if answer.status != 200 or _trace_is_whole(text) else -1
            self._outcomes.add("policy", status, (200, *REFUSALS), text[-200:])

    async def leaves(self) -> None:
        """A client that goes away after the first bytes."""
        async with self._post(self._body(stream=True, max_tokens=400, ignore_eos=True)) as answer:
            await answer.content.readany()
            self._outcomes.add("leaves", answer.status, (200, *REFUSALS))

    async def slow(self) -> None:
        """A client that reads a little at a time."""
        async with self._post(self._body(stream=True, max_tokens=60)) as answer:
            async for _ in answer.content.iter_chunked(64):
                await asyncio.sleep(0.01)
            self._outcomes.add("slow", answer.status, (200, *REFUSALS))

    async def malformed(self) -> None:
        """What is no request."""
        body = self._random.choice((b"{", b"[]", b'{"messages": 3}', b"[" * 50_000, b"\xff\xfe", b'{"a":"\\ud800"}'))
        async with self._post(body) as answer:
            self._outcomes.add("malformed", answer.status, (400,), await answer.text())

    async def oversized(self) -> None:
        """A body over the cap, or a prompt over the context."""
        body = b" " * (2 << 20) if self._random.random() < 0.5 else self._body(content="apples " * 5000)
        async with self._post(body) as answer:
            self._outcomes.add("oversized", answer.status, (400, 413), await answer.text())

    async def wrong_key(self) -> None:
        """A guess."""
        guess = {"authorization": f"Bearer lema-{self._random.getrandbits(200):x}"}
        async with self._session.get(f"{self._url}/v1/models", headers=guess) as answer:
            self._outcomes.add("wrong key", answer.status, (401,))

    async def half_open(self) -> None:
        """Half a request, and then nothing."""
        host, port = self._url.removeprefix("http://").split(":")
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n")
        await asyncio.sleep(0.5)
        writer.close()
        self._outcomes.counts["half open closed"] += 1

    def _post(self, body: Any) -> Any:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = self._headers | {"content-type": "application/json"}
        return self._session.post(f"{self._url}/v1/chat/completions", data=data, headers=headers)

    def _body(self, content: str = "", **fields: Any) -> dict[str, Any]:
        number = self._random.randrange(100)
        content = content or f"Tom has {number} apples and buys 3 more. How many apples does Tom have?"
        return {"messages": [{"role": "user", "content": content}], "max_tokens": 60, **fields}


@contextmanager
def load_for(
    url: str, key: str, outcomes: Outcomes, clients: int, misbehaving: bool = False, pause_s: float = 0.0
) -> Iterator[Callable[[], None]]:
    """Load from a thread of its own until the context ends or the function it gives is called.

    Each client waits `pause_s` between its requests.
    """
    stopped = threading.Event()

    async def run() -> None:
        timeout = aiohttp.ClientTimeout(total=240)
        async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0)) as session:
            crowd = [Client(session, url, key, outcomes, seed) for seed in range(clients)]
            crowd = [client.misbehaving() for client in crowd] if misbehaving else crowd
            await asyncio.gather(*(client.run(stopped.is_set, pause_s) for client in crowd))

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    try:
        yield stopped.set
    finally:
        stopped.set()
        thread.join()


def _trace_is_whole(text: str) -> bool:
    if text.startswith("data: "):
        events = [line.removeprefix("data: ") for line in text.split("\n\n") if line and "[DONE]" not in line]
        found = [json.loads(event).get("self_correction", {}) for event in events]
        return text.endswith("data: [DONE]\n\n") and any(one.get("event") == "final" for one in found)
    return bool(json.loads(text)["self_correction"]["stop_reason"])


def main() -> None:
    """Start, load, disturb, look at what is left."""
    options = argparse.ArgumentParser()
    options.add_argument("minutes", nargs="?", type=float, default=5.0)
    options.add_argument("model", nargs="?", default="demo/word-problems")
    options.add_argument("--haproxy", action="store_true")
    given = options.parse_args()
    if given.haproxy:
        from serve.haproxy import put_haproxy_in_front

        put_haproxy_in_front(None)
    from ray import serve

    from serve import start as serving
    from serve.app import build
    from serve.config import KeyLimits
    from serve.keys import add_key

    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    key = add_key(folder / "keys.yaml", "soak", KeyLimits())
    engine = {"cpu_kv_cache_gb": 0.5, "max_num_seqs": 32}
    arguments = {"model": given.model, "keys": str(folder / "keys.yaml"), "access_log": str(folder / "log")}
    arguments["engine"] = engine
    url = serving.start({"/": arguments}, "127.0.0.1", free_port())
    outcomes, watch = Outcomes(), Watch()

    def kill() -> None:
        os.kill(watch.replica(), 9)

    def replace() -> None:
        serve.run(build({**arguments, "name": "second"}), name="default", route_prefix="/", blocking=False)

    try:
        with load_for(url, key, outcomes, clients=8, misbehaving=True):
            begun = time.monotonic()
            for minute, what, act in sorted(_plan(given.minutes, kill, replace), key=itemgetter(0)):
                while time.monotonic() < begun + 60 * minute:
                    time.sleep(0.5)
                watch.note(f"minute {minute:.1f}, {what}; answered {outcomes.answered}, failed {len(outcomes.failed)}")
                act()
        print(json.dumps(dict(sorted(outcomes.counts.items())), indent=1))
        print(f"answered {outcomes.answered}, neither answered nor refused {len(outcomes.failed)}")
        for what, count in Counter(outcomes.failed).most_common(20):
            print(f"  {count} x {what}")
        print(f"requests left in the engine: {asyncio.run(_running(url, key))}")
    finally:
        serving.stop()


def _plan(
    minutes: float, kill: Callable[[], None], replace: Callable[[], None]
) -> list[tuple[float, str, Callable[[], None]]]:
    """What happens in which minute; nothing in the last two, where what is left has to become still."""
    every = min(5.0, 0.4 * minutes)
    kills = [number * every for number in range(1, 1 + int((minutes - 2) / every))]
    plan = [(minute, "before a replica is killed", kill) for minute in kills]
    plan.append((0.7 * minutes, "before the model is replaced", replace))
    return [(0.15 * minutes, "warm", lambda: None), *plan, (minutes, "at the end", lambda: None)]


class Watch:
    """Memory and file handles of the replica, its engine and the proxy."""

    def replica(self) -> int:
        """The newest replica's process id."""
        return max(p.pid for p, name in _processes() if "ServeReplica:default:Model" in name)

    def note(self, when: str) -> None:
        """Write a line."""
        parts = []
        for what in WATCHED:
            found = [p for p, name in _processes() if what in name]
            memory = sum(p.memory_info().rss for p in found) / 2**20
            parts.append(f"{what.split(':')[-1]} {memory:.0f} MB {sum(p.num_fds() for p in found)} files")
        print(f"{when}: {'; '.join(parts)}", flush=True)


def _processes() -> list[tuple[psutil.Process, str]]:
    """The processes below this one and their names; HAProxy, once started again, is nobody's child."""
    found = [*psutil.Process().children(recursive=True), *(p for p in psutil.process_iter() if p.name() == "haproxy")]
    named = []
    for process in set(found):
        with suppress(psutil.Error):
            named.append((process, " ".join(process.cmdline()) or process.name()))
    return named


async def _running(url: str, key: str) -> float:
    async with aiohttp.ClientSession(headers={"authorization": f"Bearer {key}"}) as session:
        for _ in itertools.repeat(None, 20):
            async with session.get(f"{url}/metrics") as answer:
                lines = (await answer.text()).splitlines()
            running = sum(float(line.split()[-1]) for line in lines if line.startswith("vllm:num_requests_running{"))
            if not running:
                return running
            await asyncio.sleep(0.5)
    return running


if __name__ == "__main__":
    main()
