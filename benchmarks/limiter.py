"""Clients that share a limiter, against servers that enforce a true limit: how much of it is used, how many 429s.

    .venv/bin/python benchmarks/limiter.py [seconds]
    .venv/bin/python benchmarks/limiter.py [seconds] [clients]      with Ray: one actor a client, one for the limiter

Each case is a `lema fault-server` process with a limit over any 60 s, and 1, 4 or 16 engines of one process that lease
from one limiter, told of that limit. All cases run at the same time: they mostly wait. Goodput is what was answered,
over the limit; `most` is the most that a server let in within any 60 s, `429` the share of requests it refused.
"""

import asyncio
import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

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
    """The address of a server of its own process."""
    options = [f"--{kind}-per-minute", str(limit), "--latency-s", str(LATENCY_S)]
    command = [sys.executable, "-m", "lema_ray.cli", "fault-server", *options]
    server = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
    stack.callback(server.terminate)
    assert server.stdout
    return server.stdout.readline().split()[-1]


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
    stats = await asyncio.to_thread(lambda: json.load(urllib.request.urlopen(url.replace("/v1", "/stats"))))
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
    """The same with the limiter in its actor and each client in an actor of its own."""
    import tempfile

    import ray

    from lema_ray.on_ray.limiter import Endpoint, Limiters, shared_leases
    from lema_ray.runs import RunFolder

    kind, limit = CASES[0]
    with ExitStack() as stack:
        url = serve(kind, limit, stack)
        spec = OpenAISpec(model="rule-based-teacher", base_url=url, limits=LimitsConfig(requests_per_minute=limit))
        ray.init(num_cpus=clients + 1, include_dashboard=False, log_to_driver=False)
        endpoint, run = Endpoint(spec, clients), RunFolder(tempfile.mkdtemp())
        limiters = ray.remote(num_cpus=0)(Limiters).remote(run, [endpoint], Budget())

        class Client:
            async def ready(self) -> None:
                self.engine = OpenAIEngine(spec, shared_leases(limiters, spec))
                await self.engine.start()

            async def work(self, first: int, seconds: float) -> int:
                return await client(self.engine, first, time.monotonic() + seconds)

        actors = [ray.remote(num_cpus=1)(Client).remote() for _ in range(clients)]
        ray.get([actor.ready.remote() for actor in actors])
        used = sum(ray.get([actor.work.remote(40 * i, seconds) for i, actor in enumerate(actors)]))
        stats = json.load(urllib.request.urlopen(url.replace("/v1", "/stats")))
        print(line(kind, limit, clients, seconds, used, stats))
        ray.shutdown()


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
