"""Evolution over a collected run: seeds -> corrector pool -> evolved/questions.jsonl. Called by `lema evolve`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any

import ray
from ray.data import Dataset

from lema_ray.config import ConfigError, RunConfig, SamplingConfig
from lema_ray.evolution import STAGE, correction_counts, draw_seeds, evolve_question
from lema_ray.on_ray.cluster import READING_CPUS, Pool, check_plan, connect
from lema_ray.on_ray.collect import engine_pool, without_warnings
from lema_ray.on_ray.flow import Flow, launched_config
from lema_ray.on_ray.pools import from_rows, stage_error, to_rows
from lema_ray.on_ray.progress import open_progress, shown
from lema_ray.on_ray.source import read_rows
from lema_ray.records import Dropped, GradedQuestion
from lema_ray.runs import RunFolder


def evolve_run(config: RunConfig, count: int) -> str:
    """Write `evolved/questions.jsonl` (question, answer, solution, level) and `evolved/dropped.parquet`."""
    flow = Flow(config)
    flow.check_engines()
    connect(config)
    check_plan(STAGE, [Pool("corrector", config.corrector.actors)])
    weights = correction_counts(flow.run.read_records(GradedQuestion, "collected"))
    if not weights:
        raise ConfigError(f"{flow.run.root} holds no accepted correction to draw seeds from; run `lema collect` first")
    drawn = Counter(draw_seeds(weights, count, config.seed))
    with ExitStack() as stack:
        corrector = launched_config(config, flow.run, stack).corrector
        progress = open_progress(config.name, count)
        work = partial(evolve_question, sampling=SamplingConfig(temperature=1.0, max_tokens=1024))
        try:
            with without_warnings(), shown(progress, [STAGE], count):
                seeds = _seeds(flow.run, drawn)
                dataset = engine_pool(seeds, corrector.engine, corrector.actors, work, STAGE, progress)
                return _write(flow.run, dataset)
        except ray.exceptions.RayError as error:
            raise ray.get(progress.failure.remote()) or stage_error(error) from None


def _seeds(run: RunFolder, drawn: Counter[str]) -> Dataset:
    """The drawn questions, each as often as it was drawn, without what happened to them."""

    def repeat(table: Any) -> Any:
        rows = from_rows(table)
        return to_rows([GradedQuestion(row.question) for row in rows for _ in range(drawn[row.question.id])])

    dataset = read_rows(run, ("collected",), GradedQuestion, rows=256)
    return dataset.map_batches(repeat, batch_format="pyarrow", batch_size=256, num_cpus=READING_CPUS)


def _write(run: RunFolder, dataset: Dataset) -> str:
    drops: list[Dropped] = []
    kept = 0
    with run.writing("evolved", "questions.jsonl") as sink:
        for line in _lines(dataset, drops):
            sink.write(line.encode())
            kept += 1
    run.write_records(drops, Dropped, "evolved", "dropped.parquet")
    return f"evolution: {kept} new questions, {len(drops)} dropped, in {run.uri('evolved', 'questions.jsonl')}"


def _lines(dataset: Dataset, drops: list[Dropped]) -> Iterator[str]:
    for batch in dataset.iter_batches(batch_format="pyarrow", batch_size=64):
        for row in from_rows(batch):
            drops.extend(row.drops)
            question = row.question
            if question.source == STAGE:
                fields = {"question": question.text, "answer": question.reference, "solution": question.solution}
                yield json.dumps(fields | {"level": question.level}, ensure_ascii=False) + "\n"
