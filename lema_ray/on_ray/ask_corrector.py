"""Rows of a run folder through the corrector's pool into a sink that can be resumed: `lema analyze`, `lema evolve`.

A row that is in the sink is not done again, and what an endpoint answered for one that is not is in the paid log.
"""

from __future__ import annotations

import ray

from lema_ray.config import RunConfig
from lema_ray.on_ray.cluster import READING_CPUS, READING_TASKS
from lema_ray.on_ray.collect import block_rows, engine_pool, open_paying, resumable, without_warnings
from lema_ray.on_ray.pools import Work, stage_error
from lema_ray.on_ray.progress import open_progress, shown
from lema_ray.on_ray.source import read_rows, slices
from lema_ray.records import GradedQuestion
from lema_ray.runs import RunFolder


def ask_corrector(
    config: RunConfig, run: RunFolder, part: tuple[str, ...], sink: tuple[str, ...], work: Work, stage: str
) -> None:
    """Do `work` on every `GradedQuestion` of `part` that `sink` does not have. Raises what the work's actors raised."""
    rows = sum(piece.stop - piece.start for piece in slices(run, part, GradedQuestion, 1 << 20))
    corrector, progress = config.corrector, open_progress(config.name, rows)
    try:
        with resumable(run, *sink), without_warnings(), shown(progress, [stage], rows):
            dataset = read_rows(run, part, GradedQuestion, block_rows(rows))
            paying = open_paying(config, run, *sink)
            dataset = engine_pool(dataset, corrector.engine, corrector.actors, work, stage, progress, paying)
            dataset.write_parquet(run.uri(*sink), ray_remote_args={"num_cpus": READING_CPUS}, concurrency=READING_TASKS)
    except Exception as error:
        raise ray.get(progress.failure.remote()) or stage_error(error) from None
