"""Error analysis over a run: rows with mistakes -> corrector pool -> analyzed/, and the distribution of types.

Called by `lema analyze`. Rows come from `collected/`, or from `evaluations/`, so that models can be compared before and
after training. A question that is in the sink is not asked about again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any

import ray

from lema_ray.analysis import STAGE, Analyzer, analyze_question
from lema_ray.config import ConfigError, RunConfig
from lema_ray.distribution import count_distribution, to_json, to_markdown
from lema_ray.on_ray.cluster import READING_CPUS, READING_TASKS, Pool, check_plan, connect
from lema_ray.on_ray.collect import block_rows, engine_pool, open_paying, resumable, without_warnings
from lema_ray.on_ray.flow import Flow, launched_config
from lema_ray.on_ray.pools import stage_error
from lema_ray.on_ray.progress import open_progress, shown
from lema_ray.on_ray.source import read_rows, slices
from lema_ray.records import GradedQuestion
from lema_ray.runs import RunFolder


def analyze_run(config: RunConfig, of: str = "collected") -> str:
    """Analyse every mistake of `collected` or `evaluations` rows; returns the distribution as Markdown.

    Writes `analyzed/<of>.json` and `.md` beside the rows. Raises `ConfigError` when there are no such rows.
    """
    flow = Flow(config)
    names = flow.run.files(of, suffix=".parquet")
    if of not in ("collected", "evaluations") or not names:
        raise ConfigError(
            f"{flow.run.root} has no rows in {of}/; run the stage that writes it (collect, evaluate) first"
        )
    flow.check_engines()
    connect(config)
    check_plan(STAGE, [Pool("corrector", config.corrector.actors)])
    parts: list[tuple[str, ...]] = [(of,)] if of == "collected" else [(of, name) for name in names]
    with ExitStack() as stack:
        launched = launched_config(config, flow.run, stack)
        for part in parts:
            _analyze(launched, flow.run, part)
    taxonomy = Analyzer(config.recipe.analysis).taxonomy
    data = to_json(count_distribution(_analyzed(flow.run, parts)), taxonomy)
    flow.run.write_json(data, "analyzed", f"{of}.json")
    flow.run.write_text(to_markdown(data), "analyzed", f"{of}.md")
    return to_markdown(data)


def _where(part: tuple[str, ...]) -> tuple[str, ...]:
    return ("analyzed", *(name.removesuffix(".parquet") for name in part))


def _analyzed(run: RunFolder, parts: list[tuple[str, ...]]) -> Iterator[GradedQuestion]:
    for part in parts:
        yield from run.read_records(GradedQuestion, *_where(part))


def _analyze(config: RunConfig, run: RunFolder, part: tuple[str, ...]) -> None:
    rows = sum(piece.stop - piece.start for piece in slices(run, part, GradedQuestion, 1 << 20))
    work: Any = partial(analyze_question, analyzer=Analyzer(config.recipe.analysis))
    corrector, progress = config.corrector, open_progress()
    try:
        with resumable(run, *_where(part)), without_warnings(), shown(progress, [STAGE], rows):
            paying = open_paying(config, run, *_where(part))
            dataset = read_rows(run, part, GradedQuestion, block_rows(rows))
            dataset = engine_pool(dataset, corrector.engine, corrector.actors, work, STAGE, progress, paying)
            dataset.write_parquet(
                run.uri(*_where(part)), ray_remote_args={"num_cpus": READING_CPUS}, concurrency=READING_TASKS
            )
    except Exception as error:
        raise ray.get(progress.failure.remote()) or stage_error(error) from None
