"""Requests through our engine (limiter, retries, paid log) against the bare openai client, at a fixed latency.

    .venv/bin/python benchmarks/corrector_requests.py [concurrency] [latency] [seconds]

Both sides send the same corrections to a `lema fault-server` of its own process, from one asyncio loop, with as many in
flight; both use the client's aiohttp transport. Calls start spread over one latency, so that the server's own work does
not come all at once. The ideal is concurrency / latency. CPU is of the client process alone.
"""

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable

import openai

from lema_ray.config import OpenAISpec
from lema_ray.demo.word_problems import generate
from lema_ray.engines.openai import OpenAIEngine
from lema_ray.engines.replay import PaidEngine
from lema_ray.recipes.lema_prompts import correction_prompt
from lema_ray.records import Sampling
from lema_ray.runs import RunFolder
from lema_ray.spending.paid import PaidLog
from lema_ray.spending.paid_index import read_index

MODEL = "rule-based-teacher"
Ask = Callable[[int], Awaitable[object]]


async def timed(name: str, ask: Ask, concurrency: int, latency: float, seconds: float) -> None:
    """Keep `concurrency` calls in flight; print the rate over the ideal, and CPU per request."""
    answered = 0

    async def worker(number: int) -> None:
        nonlocal answered
        await asyncio.sleep(latency * number / concurrency)
        while True:
            await ask(number)
            number += concurrency
            answered += 1

    workers = [asyncio.create_task(worker(n)) for n in range(concurrency)]
    # Connections are open, and the limiter's concurrency has grown, when the clock starts.
    await asyncio.sleep(3 * latency)
    before, start, cpu = answered, time.monotonic(), time.process_time()
    await asyncio.sleep(seconds)
    calls, took, used = answered - before, time.monotonic() - start, time.process_time() - cpu
    for one in workers:
        one.cancel()
    await asyncio.gather(*workers, return_exceptions=True)
    ratio = calls / took / (concurrency / latency)
    print(f"{name:<24}{calls / took:>8.1f}/s{ratio:>8.3f} of ideal{1000 * used / calls:>8.2f} ms CPU a request")


async def main(concurrency: int, latency: float, seconds: float, url: str) -> None:
    """Both sides, one after the other."""
    attempt = "Step 1: I guess it is 7 + 1 = 8.\nThe answer is 8."
    prompts = [correction_prompt(problem.question, attempt) for problem in generate(500, 5)]
    http = openai.DefaultAioHttpClient()
    bare = openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0, http_client=http)

    async def ask_bare(number: int) -> object:
        messages = [{"role": m.role, "content": m.content} for m in prompts[number % len(prompts)]]
        return await bare.chat.completions.create(model=MODEL, messages=messages, max_tokens=200, temperature=0)

    engine = OpenAIEngine(OpenAISpec(model=MODEL, base_url=url, concurrency=concurrency))
    await engine.start()
    run = RunFolder(tempfile.mkdtemp())
    paid = PaidEngine(engine, PaidLog(run, "benchmark"), read_index(run), "corrections")

    async def ask_ours(number: int) -> object:
        return await paid.for_row(str(number))(prompts[number % len(prompts)], Sampling(0.0, max_tokens=200))

    for _ in range(2):
        await timed("bare openai client", ask_bare, concurrency, latency, seconds)
        await timed("our engine", ask_ours, concurrency, latency, seconds)
    await engine.close()
    await bare.close()


if __name__ == "__main__":
    chosen = [*sys.argv[1:], *("64", "5.0", "30")[len(sys.argv) - 1 :]]
    command = [sys.executable, "-m", "lema_ray.cli", "fault-server", "--latency-s", chosen[1]]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        try:
            asyncio.run(main(int(chosen[0]), float(chosen[1]), float(chosen[2]), server.stdout.readline().split()[-1]))
        finally:
            server.terminate()
