"""Clients that share a limiter, against servers that enforce a true limit: how much of it is used, how many 429s.

    .venv/bin/python benchmarks/limiter.py [seconds]
    .venv/bin/python benchmarks/limiter.py [seconds] [clients]      with Ray: one actor a client, one for the limiter

Each case is a `lema fault-server` process with a limit over any 60 s, and 1, 4 or 16 engines of one process that lease
from one limiter, told of that limit. All cases run at the same time: they mostly wait. Goodput is what was answered,
over the limit; `most` is the most that a server let in within any 60 s, `429` the share of requests it refused.
"""

import asyncio
import json
import sys
import time
import urllib.request
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from fault_server import fault_server

from lema_ray.config import LimitsConfig, OpenAISpec
from lema_ray.demo.word_problems import generate
from lema_ray.engines.leases import Leases, limiter_for
from lema_ray.engines.openai import OpenAIEngine
from lema_ray.recipes.lema_prompts import correction_prompt
from lema_ray.records import Sampling
from lema_ray.spending.cost import Budget
from lema_ray.spending.limiter import Grant, Settled, Want

CASES: list[tuple[str, int]] = [("requests", 600), ("tokens", 300_000)]
LATENCY_S = 1.0
PROMPTS = [
    correction_prompt(problem.question, "Step 1: I guess it is 7 + 1 = 8.\nThe answer is 8.")
    for problem in generate(500, 5)
]


def serve(kind: str, limit: int, stack: ExitStack) -> str:
    """The address of a server that enforces a limit."""
    return stack.enter_context(fault_server(f"--{kind}-per-minute", limit, "--latency-s", LATENCY_S))


async def client(engine: OpenAIEngine, first: int, until: float) -> int:
    """Keep 32 calls waiting until the time is over; returns the tokens that were answered."""
    used = 0

    async def worker(number: int) -> None:
        nonlocal used
        while time.monotonic() < until:
            completion = await engine(PROMPTS[(first + number) % len(PROMPTS)], Sampling(0.0, max_tokens=200))
            used += completion.prompt_tokens + completion.completion_tokens
            number += 32

    tasks = [asyncio.create_task(worker(n)) for n in range(32)]
    await asyncio.sleep(until - time.monotonic())
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return used


async def case(url: str, kind: str, limit: int, clients: int, seconds: float) -> str:
    """One line of the table."""
    spec = OpenAISpec(model="rule-based-teacher", base_url=url, limits=LimitsConfig(**{f"{kind}_per_minute": limit}))
    limiter = limiter_for(spec, 256, Budget())

    async def exchange(name: str, settled: Sequence[Settled], wants: Sequence[Want]) -> Grant:
        return limiter.exchange(name, settled, wants)

    engines = [OpenAIEngine(spec, Leases(exchange)) for _ in range(clients)]
    for engine in engines:
        await engine.start()
    start = time.monotonic()
    used = await asyncio.gather(*(client(e, 40 * i, start + seconds) for i, e in enumerate(engines)))
    stats = await asyncio.to_thread(stats_of, url)
    for engine in engines:
        await engine.close()
    return line(kind, limit, clients, seconds, sum(used), stats)


def line(kind: str, limit: int, clients: int, seconds: float, used: int, stats: dict[str, Any]) -> str:
    """What a case came to."""
    answered = stats["outcomes"]["ok"] if kind == "requests" else used
    refused = stats["outcomes"].get("limited", 0) / stats["requests"]
    goodput = answered / (limit * seconds / 60)
    most = stats["limit"]["most"][kind]
    return f"{kind:<10}{limit:>9,}{clients:>9}{goodput:>10.3f}{most:>10,}{refused:>9.2%}{stats['requests']:>10,}"


def with_ray(seconds: float, clients: int) -> None:
    """The same with the limiter in its actor and each client in an actor of its own, for each limit."""
    import ray

    with ExitStack() as stack:
        ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
        cases = [(kind, limit, serve(kind, limit, stack)) for kind, limit in CASES]
        working = [_clients(kind, limit, url, clients) for kind, limit, url in cases]
        ray.get([actor.ready.remote() for actors in working for actor in actors])
        begun = [[a.work.remote(40 * i, seconds) for i, a in enumerate(actors)] for actors in working]
        used = [sum(ray.get(refs)) for refs in begun]
        for (kind, limit, url), tokens in zip(cases, used, strict=True):
            print(line(kind, limit, clients, seconds, tokens, stats_of(url)), flush=True)
        ray.shutdown()


def _clients(kind: str, limit: int, url: str, clients: int) -> list[Any]:
    """Actors with an engine each that lease from one limiter."""
    import tempfile

    import ray

    from lema_ray.on_ray.limiter import Endpoint, Limiters, shared_leases
    from lema_ray.runs import RunFolder

    spec = OpenAISpec(model="rule-based-teacher", base_url=url, limits=LimitsConfig(**{f"{kind}_per_minute": limit}))
    endpoints, run = [Endpoint(spec, clients)], RunFolder(tempfile.mkdtemp())
    limiters = ray.remote(num_cpus=0)(Limiters).remote(run, endpoints, Budget())

    class Client:
        async def ready(self) -> None:
            self.engine = OpenAIEngine(spec, shared_leases(limiters, spec))
            await self.engine.start()

        async def work(self, first: int, seconds: float) -> int:
            return await client(self.engine, first, time.monotonic() + seconds)

    return [ray.remote(num_cpus=0)(Client).remote() for _ in range(clients)]


def stats_of(url: str) -> dict[str, Any]:
    """What a server has counted."""
    counted: dict[str, Any] = json.load(urllib.request.urlopen(url.replace("/v1", "/stats")))
    return counted


async def main(seconds: float) -> None:
    """All cases at once."""
    with ExitStack() as stack:
        chosen = [(kind, limit, clients) for kind, limit in CASES for clients in (1, 4, 16)]
        work = [case(serve(kind, limit, stack), kind, limit, clients, seconds) for kind, limit, clients in chosen]
        print(f"{'limit of':<10}{'a minute':>9}{'clients':>9}{'goodput':>10}{'most':>10}{'429':>9}{'requests':>10}")
        for done in await asyncio.gather(*work):
            print(done)


if __name__ == "__main__":
    chosen_seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 180.0
    if len(sys.argv) > 2:
        with_ray(chosen_seconds, int(sys.argv[2]))
    else:
        asyncio.run(main(chosen_seconds))
