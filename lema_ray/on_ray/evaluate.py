"""Examine models on held-out questions through one pool of vLLM actors, one model after the other.

Actors keep their engine and load the next model's weights into it, because starting an engine costs far more than
examining a small model. Answers that are there already (`earlier_answers`) are graded and not asked for again, and
every finished chunk is kept, so an evaluation goes on where it was killed. `proven` asks each trained model some
questions, in transformers too, which is what training's success is reported on.
Called by `on_ray.flow`.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import ray

from lema_ray.attempts import solve_prompt
from lema_ray.config import EngineSpec, EvaluationSampling, GradingConfig, RunConfig, SamplingConfig, VLLMSpec
from lema_ray.engines import EngineUnavailable, open_engine
from lema_ray.evaluation.earlier_answers import PARTS, Asked, EarlierAnswers, read_earlier, with_keys
from lema_ray.evaluation.model_identity import model_identity
from lema_ray.grading import GradingPool
from lema_ray.mistakes.warned import warnings_of
from lema_ray.on_ray.cluster import check_plan, evaluate_pools
from lema_ray.on_ray.pools import from_rows, grade_questions, stage_error, to_rows
from lema_ray.records import GradedQuestion, Question, Sampling
from lema_ray.runs import RunFolder
from lema_ray.self_correction.held_out import answer_question
from lema_ray.training.proof import Agreement

CHUNK_QUESTIONS = 64
CHUNKS_IN_FLIGHT = 4
"""Per actor: enough requests that a model on a GPU is never idle while the driver writes."""


class Examiner:
    """Holds one engine and the processes that grade its answers."""

    def __init__(self, grading: GradingConfig) -> None:
        self._grading = GradingPool(grading.timeout_s, grading.processes, grading.sandbox)
        self._grading.__enter__()
        self._engine: Any = None

    async def open(self, spec: EngineSpec) -> None:
        """Serve this model from now on: by new weights where the engine allows it, by a new engine otherwise."""
        from lema_ray.engines.vllm import VLLMEngine

        # An adapter cannot be put into a running engine by new weights.
        adapted = any(getattr(one, "lora", None) for one in (spec, self._engine and self._engine.spec))
        if adapted or not isinstance(spec, VLLMSpec) or not isinstance(self._engine, VLLMEngine | None):
            await self.close()
            self._engine = open_engine(spec)
            await self._engine.start()
            return
        if self._engine is not None:
            try:
                await self._engine.reload(spec.model)
                return
            except EngineUnavailable:
                # Another shape or vocabulary, or weights that do not load: a new engine takes it, or says why not.
                await self._engine.close()
        self._engine = VLLMEngine(spec)
        await self._engine.start()

    async def examine(
        self,
        rows: list[GradedQuestion],
        model: str,
        sampling: EvaluationSampling,
        few_shot: int,
        seed: int,
        warnings: tuple[str, ...] = (),
    ) -> pa.Table:
        """The questions with their graded answers; those that have answers are graded only."""

        async def answered(row: GradedQuestion) -> GradedQuestion:
            if row.attempts:
                return row
            return await answer_question(
                row, self._engine, model=model, sampling=sampling, few_shot=few_shot, seed=seed, warnings=warnings
            )

        examined = list(await asyncio.gather(*map(answered, rows)))
        return to_rows(await asyncio.to_thread(grade_questions, examined, self._grading))

    async def agree(self, questions: list[Question]) -> list[Agreement]:
        """How far the served model's greedy answers are those of its folder in transformers. Raises `ModelError`."""
        from lema_ray.engines.chat_template import ChatTemplate
        from lema_ray.training.proof import TOKENS, follow

        prompts, engine = [solve_prompt(question) for question in questions], self._engine
        sampling = Sampling(temperature=0.0, top_p=1.0, max_tokens=TOKENS)
        said = await asyncio.gather(*(engine(prompt, sampling) for prompt in prompts))
        template = ChatTemplate(engine.folder)
        asked = [template.tokens(prompt) for prompt in prompts]
        return await asyncio.to_thread(follow, engine.folder, asked, [one.text for one in said], engine.spec.dtype)

    async def close(self) -> None:
        """Give back the engine's memory and processes before the actor ends."""
        if self._engine is not None:
            await self._engine.close()


@contextmanager
def examiners(config: RunConfig) -> Iterator[list[Any]]:
    """The pool, for as long as the body runs."""
    check_plan("evaluate", evaluate_pools(config))
    actors = config.evaluate.actors
    # One place more than chunks, so that `close` is heard while all of them are busy.
    remote = ray.remote(max_concurrency=CHUNKS_IN_FLIGHT + 1, num_cpus=actors.cpus, num_gpus=actors.gpus)(Examiner)
    pool = [remote.remote(config.grading) for _ in range(actors.max)]
    try:
        yield pool
    except ray.exceptions.RayError as error:
        raise stage_error(error) from None
    finally:
        _end(pool)


def _end(pool: list[Any]) -> None:
    closing = [actor.close.remote() for actor in pool]
    ray.wait(closing, num_returns=len(closing), timeout=30)
    for actor in pool:
        ray.kill(actor)


def engine_spec(config: RunConfig, model: str) -> VLLMSpec:
    """How a model is served for examination: as the first vLLM student is, with the overrides of `evaluate.engine`."""
    students = [s.engine for s in config.students if isinstance(s.engine, VLLMSpec)]
    base = students[0].model_dump() if students else {}
    return VLLMSpec.model_validate(base | {"lora": None} | config.evaluate.engine | {"model": model})


def trained_spec(config: RunConfig, base: str, folder: str) -> VLLMSpec:
    """`engine_spec` of what a training left in a folder: a model, or an adapter on top of its base."""
    if not config.train.leaves_adapter:
        return engine_spec(config, folder)
    return engine_spec(config, base).model_copy(update={"lora": folder})


def proven(
    pool: list[Any], config: RunConfig, spec: VLLMSpec, questions: list[Question]
) -> tuple[str, list[Agreement]]:
    """Load a saved model in vLLM: its answer to the first question, and how far transformers says the same to all.

    Raises `EngineUnavailable` when it cannot be served, `ModelError` when the two disagree.
    """
    ray.get(pool[0].open.remote(spec))
    model, sampling = spec.lora or spec.model, EvaluationSampling(name="proof", max_tokens=_longest(config))
    table = ray.get(pool[0].examine.remote([GradedQuestion(questions[0])], model, sampling, 0, config.seed))
    attempts = from_rows(table)[0].attempts
    if not attempts or not attempts[0].attempt.text.strip():
        raise EngineUnavailable(f"{model}: vLLM loaded the saved model, but it answered a question with nothing")
    return attempts[0].attempt.text, ray.get(pool[0].agree.remote(questions))


def _longest(config: RunConfig) -> int:
    every: list[SamplingConfig] = [*(s.sampling for s in config.students), *config.evaluate.sampling]
    return max(sampling.max_tokens for sampling in every)


@dataclass(frozen=True, slots=True)
class Chunk:
    """Questions that are examined together, their keys, and how many of them have no answer yet."""

    rows: list[GradedQuestion]
    keys: list[str]
    new: int


def examine_model(pool: list[Any], config: RunConfig, run: RunFolder, name: str, spec: EngineSpec) -> dict[str, float]:
    """Write `evaluations/<name>--<sampling>.parquet` for every way of asking; returns the seconds each took.

    The model is loaded when the first question without an answer comes. Raises `ConfigError` for a run that
    `evaluate.reuse` names in vain.
    """
    seconds, identity = {}, model_identity(spec, run)
    earlier = read_earlier(run, config.evaluate.reuse)
    if config.evaluate.reuse and not identity.by_content:
        print(f"{name}: known by name only, so no answers of other runs are reused", flush=True)
    loaded = cache(lambda: ray.get([actor.open.remote(spec) for actor in pool]))
    for sampling in config.evaluate.sampling:
        start, counted = time.monotonic(), Counter[str]()
        asked = Asked(
            identity.key,
            name,
            sampling,
            config.evaluate.few_shot,
            config.seed,
            warnings_of(sampling.error_aware),
        )
        _write(run, f"{name}--{sampling.name}.parquet", _examined(pool, run, asked, earlier, loaded, counted))
        run.remove(PARTS, f"{name}--{sampling.name}")
        seconds[sampling.name] = round(time.monotonic() - start, 2)
        reused = f", {counted['reused']:,} of {counted['questions']:,} answered before" if counted["reused"] else ""
        print(f"evaluated {name} ({sampling.name}) in {seconds[sampling.name]} s{reused}", flush=True)
    return seconds


def _examined(
    pool: list[Any],
    run: RunFolder,
    asked: Asked,
    earlier: EarlierAnswers,
    loaded: Callable[[], Any],
    counted: Counter[str],
) -> Iterator[pa.Table]:
    """Graded chunks as they finish, with a bounded number of them on the way."""
    flying: dict[Any, Chunk] = {}

    def landed(ref: Any) -> pa.Table:
        chunk = flying.pop(ref)
        table = with_keys(ray.get(ref), chunk.keys, asked.sampling.samples)
        counted.update(questions=len(chunk.rows), reused=len(chunk.rows) - chunk.new)
        if chunk.new:
            with run.writing(PARTS, f"{asked.model}--{asked.sampling.name}", f"{uuid.uuid4().hex}.parquet") as sink:
                pq.write_table(table, sink)
        return table

    for number, chunk in enumerate(_chunks(run, asked, earlier)):
        if len(flying) >= CHUNKS_IN_FLIGHT * len(pool):
            done, _ = ray.wait(list(flying))
            yield from map(landed, done)
        if chunk.new:
            loaded()
        actor = pool[number % len(pool)]
        flying[
            actor.examine.remote(chunk.rows, asked.model, asked.sampling, asked.few_shot, asked.seed, asked.warnings)
        ] = chunk
    yield from map(landed, list(flying))


def _chunks(run: RunFolder, asked: Asked, earlier: EarlierAnswers) -> Iterator[Chunk]:
    questions = run.read_records(Question, "questions", "test.parquet")
    while some := list(islice(questions, CHUNK_QUESTIONS)):
        keys = [asked.key(question) for question in some]
        found = earlier.find(keys)
        rows = [asked.restored(q, found.get(key, ())) for q, key in zip(some, keys, strict=True)]
        yield Chunk(rows, keys, sum(not row.attempts for row in rows))


def _write(run: RunFolder, name: str, tables: Iterator[pa.Table]) -> None:
    writer: pq.ParquetWriter | None = None
    with run.writing("evaluations", name) as sink:
        for table in tables:
            writer = writer or pq.ParquetWriter(sink, table.schema)
            writer.write_table(table)
        if writer is not None:
            writer.close()
