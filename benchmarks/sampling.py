"""Sampling through the collect pipeline against a bare AsyncLLM loop: same model, prompts and seeds, both warm.

    .venv/bin/python benchmarks/sampling.py [model] [questions]

Each side runs in a process of its own. A side's time is from its first request to its last completion, so engine start
is in neither; tokens are counted by vLLM. The ratio is pipeline / bare in generated tokens per second.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from lema_ray.attempts import attempt_question, attempt_seed, solve_prompt
from lema_ray.config import SamplingConfig, VLLMSpec, parse_config
from lema_ray.demo.word_problems import generate
from lema_ray.records import GradedQuestion, Question

SAMPLES = 4
SAMPLING = SamplingConfig(temperature=0.7, max_tokens=96)
SEQUENCES = 128


def spec(model: str) -> VLLMSpec:
    """The engine of both sides."""
    return VLLMSpec(model=model, dtype="float32", max_num_seqs=SEQUENCES)


async def bare(model: str, count: int) -> None:
    """vLLM's own AsyncLLM, all requests handed over at once, prompts rendered beforehand."""
    from vllm import AsyncEngineArgs, SamplingParams
    from vllm.platforms import current_platform
    from vllm.sampling_params import RequestOutputKind
    from vllm.v1.engine.async_llm import AsyncLLM

    from lema_ray.engines.chat_template import ChatTemplate
    from lema_ray.engines.vllm_arguments import engine_arguments, prepare_environment
    from lema_ray.models import resolve_model

    path = resolve_model(model)
    template = ChatTemplate(path)
    prompts = [(p.question.id, template.tokens(solve_prompt(p.question))) for p in generate(count, 7)]
    prepare_environment(path)
    on_cpu = bool(current_platform.is_cpu())
    engine = AsyncLLM.from_engine_args(AsyncEngineArgs(**engine_arguments(spec(model), path, on_cpu)))

    async def one(prompt: Sequence[int], seed: int, name: str) -> int:
        params = SamplingParams(temperature=0.7, max_tokens=96, seed=seed, output_kind=RequestOutputKind.FINAL_ONLY)
        tokens = 0
        async for output in engine.generate({"prompt_token_ids": list(prompt)}, params, name):
            tokens = len(output.outputs[0].token_ids)
        return tokens

    await asyncio.gather(*(one(prompts[0][1], k, f"warm{k}") for k in range(SEQUENCES)))
    start = time.monotonic()
    requests = [(p, attempt_seed(0, i, model, k), f"{i}-{k}") for i, p in prompts for k in range(SAMPLES)]
    tokens = sum(await asyncio.gather(*(one(*request) for request in requests)))
    print(json.dumps({"tokens": tokens, "seconds": time.monotonic() - start}))
    engine.shutdown()


_WARM: list[asyncio.Task[Any]] = []


async def warm(generate_text: Any) -> None:
    """Fill the actor's engine once before the clock starts, as the bare side does; every row waits for that."""
    if not _WARM:
        prompt = solve_prompt(next(generate(1, 7)).question)
        requests = [generate_text(prompt, SAMPLING.with_seed(k)) for k in range(SEQUENCES)]
        _WARM.append(asyncio.ensure_future(asyncio.gather(*requests)))
    await _WARM[0]


async def timed(graded: GradedQuestion, generate_text: Any, *, log: str, model: str) -> GradedQuestion:
    """`attempt_question`, with a line in `log` that says when it ran and how many tokens came out."""
    await warm(generate_text)
    start = time.time()
    done = await attempt_question(graded, generate_text, model=model, samples=SAMPLES, sampling=SAMPLING)
    with open(log, "a") as lines:
        lines.write(f"{start} {time.time()} {sum(g.attempt.completion_tokens for g in done.attempts)}\n")
    return done


def pipeline(model: str, count: int) -> None:
    """Our pool on Ray Data, from prepared questions to Parquet."""
    from lema_ray.on_ray.cluster import connect
    from lema_ray.on_ray.collect import TRAIN, block_rows, engine_pool, resumable, without_warnings
    from lema_ray.on_ray.flow import Flow
    from lema_ray.on_ray.progress import open_progress
    from lema_ray.on_ray.source import read_rows

    with tempfile.TemporaryDirectory() as folder:
        source = {"source": "word_problems", "count": count, "seed": 7}
        engine = {"type": "scripted"}
        config = parse_config(
            {
                "name": "b",
                "runs_dir": folder,
                "questions": {"train": source},
                "students": [{"engine": engine}],
                "corrector": {"engine": engine},
                "ray": {"num_cpus": 4},
            }
        )
        flow = Flow(config)
        flow.questions()
        connect(config)
        log = str(Path(folder, "log"))
        work = partial(timed, log=log, model=model)
        rows = read_rows(flow.run, TRAIN, Question, block_rows(count))
        with resumable(flow.run, "out"), without_warnings():
            dataset = engine_pool(rows, spec(model), config.students[0].actors, work, "attempts", open_progress())
            dataset.write_parquet(flow.run.uri("out"))
        print(json.dumps(read(log)))


def read(log: str) -> dict[str, float]:
    """Tokens, and seconds from the first request to the last completion."""
    rows = [[float(field) for field in line.split()] for line in Path(log).read_text().splitlines()]
    return {"tokens": sum(r[2] for r in rows), "seconds": max(r[1] for r in rows) - min(r[0] for r in rows)}


def side(name: str, model: str, count: int) -> float:
    """Tokens per second of one side, in a process of its own."""
    # Ray runs its workers at niceness 15; on a machine that does something else as well, the other side needs the same.
    nice = ["nice", "-n", "15"] if name == "bare" else []
    command = [*nice, sys.executable, __file__, "--side", name, model, str(count)]
    found = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    # The engine may say good-bye after the figures.
    figures = json.loads([line for line in found.splitlines() if line.startswith("{")][-1])
    rate = figures["tokens"] / figures["seconds"]
    print(f"{name}: {figures['tokens']:.0f} tokens in {figures['seconds']:.1f} s, {rate:.0f} tokens/s", flush=True)
    return rate


if __name__ == "__main__":
    if sys.argv[1:2] == ["--side"]:
        _, _, which, name, number = sys.argv
        asyncio.run(bare(name, int(number))) if which == "bare" else pipeline(name, int(number))
    else:
        asked = sys.argv[1] if len(sys.argv) > 1 else "demo/word-problems"
        questions = int(sys.argv[2]) if len(sys.argv) > 2 else 400
        plain = side("bare", asked, questions)
        print(f"ratio {side('pipeline', asked, questions) / plain:.2f}")
