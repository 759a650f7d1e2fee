"""Collect: one streamed Ray Data pipeline from questions to graded attempts and corrections.

    questions -> student pools -> writer pools -> grading -> corrector pool -> collected/*.parquet

One row in, one row out at every stage, so that sampling, grading and correcting overlap and Ray Data's checkpoint by
question id covers the whole pipeline. Called by `cli` and `jobs/`.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from typing import Any

import ray
from ray.data import ActorPoolStrategy, Dataset
from ray.data.checkpoint import CheckpointConfig

from lema_ray.attempts import attempt_question
from lema_ray.config import ActorsConfig, OpenAISpec, RunConfig, StudentConfig
from lema_ray.corrections import correct_question
from lema_ray.mistakes.warned import warnings_of
from lema_ray.on_ray.cluster import READING_CPUS, READING_TASKS, check_plan, collect_pools, correcting_actors
from lema_ray.on_ray.limiter import open_limiters
from lema_ray.on_ray.pools import EnginePool, GradePool, Paying, Work, stage_error
from lema_ray.on_ray.progress import Counted, open_progress, shown
from lema_ray.on_ray.source import read_rows
from lema_ray.planning.student import asked_student
from lema_ray.recipes import open_recipe
from lema_ray.records import GradedQuestion, Question
from lema_ray.runs import RunFolder
from lema_ray.spending.paid_index import finished_rows, read_index

TRAIN = ("questions", "train.parquet")
SMALLEST_BLOCK = 32
BLOCKS_IN_FLIGHT = 8
"""Blocks that one actor works on at once, so that an engine is refilled while the last rows of a block are running."""


def collect(config: RunConfig, run: RunFolder, rows: int) -> dict[str, Any]:
    """Run the pipeline over `rows` prepared questions into `collected/`; returns the sums over all rows.

    Raises `EngineUnavailable` when an engine broke, `ConfigError` when the cluster cannot hold the pools.
    """
    check_plan("collect", collect_pools(config))
    progress = open_progress()
    start = time.monotonic()
    try:
        with resumable(run, "collected"), without_warnings():
            dataset, stages = _pipeline(config, run, rows, progress)
            with shown(progress, stages, rows):
                dataset.write_parquet(
                    run.uri("collected"), ray_remote_args={"num_cpus": READING_CPUS}, concurrency=READING_TASKS
                )
    except Exception as error:
        raise ray.get(progress.failure.remote()) or stage_error(error) from None
    return {"seconds": round(time.monotonic() - start, 2), **asdict(count_collected(run))}


@contextmanager
def resumable(run: RunFolder, *sink: str) -> Iterator[None]:
    """Ray Data's checkpoint by question id of what is in a sink, for the pipeline of the body and no other."""
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    # Each block in flight would read its process's memory map every second, which is large where an engine lives.
    context.memory_usage_poll_interval_s = None
    context.checkpoint_config = CheckpointConfig(
        id_column="id", checkpoint_path=run.uri("checkpoint", *sink), delete_checkpoint_on_success=False
    )
    try:
        yield
    finally:
        context.checkpoint_config = None


@contextmanager
def without_warnings() -> Iterator[None]:
    """Ray 2.60 deprecates how an actor's concurrency and a writer's CPUs are passed, and has no other way yet.

    It also advises more blocks wherever there are fewer of them than tasks may run.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.filterwarnings("ignore", "The maximum number of concurrent tasks", UserWarning)
        yield


def _pipeline(config: RunConfig, run: RunFolder, rows: int, progress: Any) -> tuple[Dataset, list[str]]:
    where, record = (("questions", "attempts"), GradedQuestion) if config.import_attempts else (TRAIN, Question)
    dataset = read_rows(run, where, record, block_rows(rows))
    paying = open_paying(config, run, "collected")
    stages = []
    for student in config.students:
        stages.append(f"attempts {_short(student.engine.model)}")
        dataset = _attempts(dataset, student, config.seed, stages[-1], progress, paying)
    for writer in config.writers:
        stages.append(f"solutions {_short(writer.engine.model)}")
        dataset = _attempts(dataset, writer, config.seed, stages[-1], progress, paying, origin="written")
    dataset = _grades(dataset, config, progress)
    doubtful = config.recipe.doubtful_references == "correct"
    recipes = [open_recipe(recipe) for recipe in config.recipes]
    judge = config.grading.judge
    work = partial(correct_question, recipes=recipes, correct_doubtful=doubtful, judge=judge)
    asked, actors = asked_student(config), correcting_actors(config)
    dataset = engine_pool(
        dataset, config.corrector.engine, actors, work, "corrections", progress, paying, asked and asked.engine
    )
    return dataset, [*stages, "grades", "corrections"]


def open_paying(config: RunConfig, run: RunFolder, *sink: str) -> Paying | None:
    """What was received for rows that are not in the sink, and the limiters; None when nobody is paid."""
    limiters = open_limiters(config, run)
    return None if limiters is None else Paying(read_index(run, finished_rows(run, *sink)), limiters)


def _short(model: str) -> str:
    return model.rstrip("/").rsplit("/", 1)[-1]


def block_rows(rows: int) -> int:
    """Rows per block: enough blocks to keep every stage busy in small runs, few enough files in large ones."""
    return max(SMALLEST_BLOCK, min(1024, rows // 256))


def _attempts(
    dataset: Dataset,
    student: StudentConfig,
    seed: int,
    stage: str,
    progress: Any,
    paying: Paying | None,
    origin: str = "sampled",
) -> Dataset:
    work: Work = partial(
        attempt_question,
        model=student.engine.model,
        samples=student.samples,
        sampling=student.sampling,
        few_shot=student.few_shot,
        warnings=warnings_of(student.error_aware),
        seed=seed,
        origin=origin,  # type: ignore[arg-type]
    )
    return engine_pool(dataset, student.engine, student.actors, work, stage, progress, paying)


def engine_pool(
    dataset: Dataset,
    engine: Any,
    actors: ActorsConfig,
    work: Work,
    stage: str,
    progress: Any,
    paying: Paying | None = None,
    student: Any = None,
) -> Dataset:
    """The dataset through a pool of actors that hold this engine, and a student's if one is given.

    `paying` is for those of them that are endpoints.
    """
    return dataset.map_batches(
        EnginePool,
        fn_constructor_args=(engine, work, stage, progress, paying, student),
        batch_format="pyarrow",
        # A whole block: Ray pickles every piece of every column apart, which took most of an actor's time at 8 rows.
        batch_size=engine.batch.rows if isinstance(engine, OpenAISpec) and engine.batch else None,
        compute=ActorPoolStrategy(
            min_size=actors.min, max_size=actors.max, max_tasks_in_flight_per_actor=BLOCKS_IN_FLIGHT
        ),
        num_cpus=actors.cpus,
        num_gpus=actors.gpus or None,
        max_concurrency=BLOCKS_IN_FLIGHT,
        udf_modifying_row_count=False,
    )


def _grades(dataset: Dataset, config: RunConfig, progress: Any) -> Dataset:
    actors = config.grading.actors
    return dataset.map_batches(
        GradePool,
        fn_constructor_args=(config.grading, "grades", progress),
        batch_format="pyarrow",
        batch_size=None,
        compute=ActorPoolStrategy(min_size=actors.min, max_size=actors.max),
        num_cpus=actors.cpus,
        udf_modifying_row_count=False,
    )


def count_collected(run: RunFolder) -> Counted:
    """The sums over all rows of `collected/`: what the report's funnel and the ledger start from."""
    total = Counted()
    for row in run.read_records(GradedQuestion, "collected"):
        total = total + Counted.of(row)
    return total
