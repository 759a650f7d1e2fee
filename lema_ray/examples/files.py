"""Files of a run that are written row by row, so that no stage of the build holds a whole data set.

Used by the build's passes and by exports. A reader sees the whole file or none: it gets its name when it is complete.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lema_ray import arrow
from lema_ray.runs import RunFolder

ROWS_PER_GROUP = 1024


@contextmanager
def open_table(run: RunFolder, schema: pa.Schema, *parts: str) -> Iterator[pq.ParquetWriter]:
    """A Parquet writer for batches of one schema."""
    with run.writing(*parts) as stream, pq.ParquetWriter(stream, schema) as writer:
        yield writer


class RecordSink:
    """Collects records of one type and writes them in row groups; `flush` writes what is left."""

    def __init__(self, writer: pq.ParquetWriter, record: type) -> None:
        self._writer, self._record, self._held = writer, record, list[Any]()

    def add(self, record: Any) -> None:
        """Take one record."""
        self._held.append(record)
        if len(self._held) >= ROWS_PER_GROUP:
            self.flush()

    def flush(self) -> None:
        """Write the records taken since the last row group."""
        if self._held:
            self._writer.write_table(arrow.to_table(self._held, self._record))
            self._held.clear()


@contextmanager
def open_records(run: RunFolder, record: type, *parts: str) -> Iterator[RecordSink]:
    """A sink for records of one type, as one Parquet file with that type's schema also when it stays empty."""
    with open_table(run, arrow.schema(record), *parts) as writer:
        sink = RecordSink(writer, record)
        yield sink
        sink.flush()
