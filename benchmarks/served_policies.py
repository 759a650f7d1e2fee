"""The policies of self-correction compared through HTTP: accuracy, tokens and latency on a run's held-out questions.

    .venv/bin/python benchmarks/served_policies.py URL KEY RUN [QUESTIONS] [CONCURRENCY]

URL is a server's (`lema serve RUN --arm ...`), RUN the folder whose held-out questions are asked, greedily.
"""

from __future__ import annotations

import asyncio
import itertools
import statistics
import sys
import time

import openai

from lema_ray.attempts import solve_prompt
from lema_ray.grading import grade
from lema_ray.records import Question
from lema_ray.runs import RunFolder
from lema_ray.statistics import proportion_interval

POLICIES = ("off", "spontaneous", "revise", "critique", "verify", "vote")


async def ask(client: openai.AsyncOpenAI, model: str, policy: str, question: Question) -> tuple[bool, bool, int, float]:
    """Whether the first and the final answer are right, the tokens spent and the seconds."""
    start = time.perf_counter()
    answer = await client.chat.completions.create(
        model=f"{model}:{policy}",
        messages=[{"role": m.role, "content": m.content} for m in solve_prompt(question)],  # type: ignore[misc]
        temperature=0.7 if policy == "vote" else 0.0,
        max_tokens=200,
        seed=1,
    )
    seconds, trace = time.perf_counter() - start, answer.model_dump()["self_correction"]
    first = grade(f"The answer is {trace['first_answer']}", question.reference, task=question.task)
    final = grade(answer.choices[0].message.content or "", question.reference, task=question.task)
    tokens = trace["prompt_tokens"] + trace["completion_tokens"]
    return first.verdict == "right", final.verdict == "right", tokens, seconds


async def compare(url: str, key: str, questions: list[Question], concurrency: int) -> None:
    """A line for each policy."""
    async with openai.AsyncOpenAI(
        base_url=f"{url}/v1", api_key=key, http_client=openai.DefaultAioHttpClient(), timeout=120
    ) as client:
        model = (await client.models.list()).data[0].id
        slots = asyncio.Semaphore(concurrency)

        async def one(policy: str, question: Question) -> tuple[bool, bool, int, float]:
            async with slots:
                return await ask(client, model, policy, question)

        print(f"{model}, {len(questions)} questions, {concurrency} at a time")
        for policy in POLICIES:
            found = await asyncio.gather(*(one(policy, question) for question in questions))
            first, right = sum(f[0] for f in found), sum(f[1] for f in found)
            low, high = proportion_interval(right, len(found))
            tokens, seconds = statistics.mean(f[2] for f in found), statistics.median(f[3] for f in found)
            print(
                f"{policy:12} first {first / len(found):.3f} final {right / len(found):.3f} [{low:.3f}, {high:.3f}]"
                f" tokens {tokens:.0f} p50 {seconds:.2f} s",
                flush=True,
            )


def main() -> None:
    """Read the questions and compare."""
    if len(sys.argv) < 4:
        # Of all benchmarks only this one needs a server that is there already.
        print(__doc__)
        return
    url, key, run, *rest = sys.argv[1:]
    count, concurrency = (int(rest[0]) if rest else 200), (int(rest[1]) if len(rest) > 1 else 16)
    held_out = RunFolder(run).read_records(Question, "questions", "test.parquet")
    asyncio.run(compare(url, key, list(itertools.islice(held_out, count)), concurrency))


if __name__ == "__main__":
    main()
