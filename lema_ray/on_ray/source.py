"""Prepared rows as a Ray Data source: one read task and one block per slice of the run folder's Parquet files.

Blocks are what an actor takes at once and what a checkpoint commits, so they are small; Ray's own Parquet reader makes
one block of many small files and lists them in a task that takes a whole CPU. Used by `on_ray.collect`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import ray
from ray.data import Dataset, Datasource
from ray.data.block import BlockMetadata
from ray.data.datasource import ReadTask

from lema_ray import arrow
from lema_ray.on_ray.cluster import READING_CPUS, READING_TASKS
from lema_ray.on_ray.pools import to_rows
from lema_ray.records import GradedQuestion
from lema_ray.runs import RunFolder


@dataclass(frozen=True, slots=True)
class Slice:
    """Rows `start` to `stop` of one Parquet file of the run folder, whose rows are of type `record`."""

    run: RunFolder
    file: tuple[str, ...]
    record: type
    start: int
    stop: int

    def read(self) -> pa.Table:
        """The rows as `GradedQuestion`s, from the row groups that hold them."""
        with self.run.opened(*self.file) as stream:
            file = pq.ParquetFile(stream)
            groups, first = _groups(file, self.start, self.stop)
            table = file.read_row_groups(groups).slice(self.start - first, self.stop - self.start)
        records: list[Any] = arrow.from_table(self.record, table)
        return to_rows([r if isinstance(r, GradedQuestion) else GradedQuestion(r) for r in records])


def _groups(file: Any, start: int, stop: int) -> tuple[list[int], int]:
    """The row groups that overlap some rows, and the number of the first row in them."""
    groups: list[int] = []
    first, position = start, 0
    for number in range(file.num_row_groups):
        end = position + file.metadata.row_group(number).num_rows
        if end > start and position < stop:
            first = first if groups else position
            groups.append(number)
        position = end
    return groups, first


def slices(run: RunFolder, where: tuple[str, ...], record: type, rows: int) -> Iterator[Slice]:
    """All rows of a Parquet file, or of those below a folder, `rows` at a time."""
    files = [(*where, name) for name in run.files(*where, suffix=".parquet")] or [where]
    for file in files:
        with run.opened(*file) as stream:
            total = pq.ParquetFile(stream).metadata.num_rows
        for start in range(0, total, rows):
            yield Slice(run, file, record, start, min(start + rows, total))


class Rows(Datasource):  # type: ignore[misc]
    """A Ray Data source of slices. Checkpointing needs a real read to filter, which a list of items is not."""

    def __init__(self, parts: list[Slice]) -> None:
        self._parts = parts

    def estimate_inmemory_data_size(self) -> int | None:
        """Unknown; the number of blocks is given and does not depend on it."""
        return None

    def get_read_tasks(self, parallelism: int, *_: Any, **__: Any) -> list[ReadTask]:
        """One task per slice."""
        return [
            ReadTask(lambda part=part: [part.read()], BlockMetadata(part.stop - part.start, None, None, None))
            for part in self._parts
        ]


def read_rows(run: RunFolder, where: tuple[str, ...], record: type, rows: int) -> Dataset:
    """Records of the run folder as a dataset of `GradedQuestion` rows, in blocks of at most `rows`."""
    parts = list(slices(run, where, record, rows))
    return ray.data.read_datasource(
        Rows(parts), override_num_blocks=len(parts), num_cpus=READING_CPUS, concurrency=READING_TASKS
    )
