"""Evolution over a collected run: seeds -> corrector pool -> evolved/questions.jsonl. Called by `lema evolve`.

Each draw of a seed is a row of its own in `evolved/seeds.parquet`, so that the same command after a kill goes on with
the draws that have no answer in `evolved/rows/` yet.
"""

from __future__ import annotations

import json
from collections import Counter
from contextlib import ExitStack
from functools import partial

from lema_ray.config import ConfigError, RunConfig, SamplingConfig
from lema_ray.evolution import STAGE, correction_counts, draw_of, draw_seeds, evolve_question
from lema_ray.on_ray.ask_corrector import ask_corrector
from lema_ray.on_ray.cluster import Pool, check_plan, connect
from lema_ray.on_ray.flow import Flow
from lema_ray.on_ray.launching import launched_config
from lema_ray.questions.store import writing_records
from lema_ray.records import Dropped, GradedQuestion, Question
from lema_ray.runs import RunFolder

SEEDS, ROWS = ("evolved", "seeds.parquet"), ("evolved", "rows")


def evolve_run(config: RunConfig, count: int) -> str:
    """Write `evolved/questions.jsonl` (question, answer, solution, level) and `evolved/dropped.parquet`.

    With a larger `count` the draws made so far are kept and more are added.
    """
    flow = Flow(config)
    weights = correction_counts(flow.run.read_records(GradedQuestion, "collected"))
    if not weights:
        raise ConfigError(f"{flow.run.root} holds no accepted correction to draw seeds from; run `lema collect` first")
    _write_seeds(flow.run, Counter(draw_seeds(weights, count, config.seed)))
    flow.check_engines()
    connect(config)
    check_plan(STAGE, [Pool("corrector", config.corrector.actors)])
    work = partial(evolve_question, sampling=SamplingConfig(temperature=1.0, max_tokens=1024))
    with ExitStack() as stack:
        ask_corrector(launched_config(config, flow.run, stack), flow.run, SEEDS, ROWS, work, STAGE)
    return _write(flow.run)


def _write_seeds(run: RunFolder, drawn: Counter[str]) -> None:
    with writing_records(run, GradedQuestion, *SEEDS) as write:
        for row in run.read_records(GradedQuestion, "collected"):
            for number in range(drawn[row.question.id]):
                write(draw_of(row.question, number))


def _write(run: RunFolder) -> str:
    kept = dropped = 0
    with (
        run.writing("evolved", "questions.jsonl") as lines,
        writing_records(run, Dropped, "evolved", "dropped.parquet") as drop,
    ):
        for row in run.read_records(GradedQuestion, *ROWS):
            for one in row.drops:
                drop(one)
                dropped += 1
            if row.question.source == STAGE:
                lines.write(_line(row.question).encode())
                kept += 1
    return f"evolution: {kept} new questions, {dropped} dropped, in {run.uri('evolved', 'questions.jsonl')}"


def _line(question: Question) -> str:
    fields = {"question": question.text, "answer": question.reference, "solution": question.solution}
    return json.dumps(fields | {"level": question.level}, ensure_ascii=False) + "\n"
