"""Files and sets that stay small in memory while millions of questions pass; for `prepare` and `grouping`."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow.parquet as pq

from lema_ray import arrow
from lema_ray.runs import RunFolder

BATCH_ROWS = 1000

Write = Callable[[Any], None]


@contextmanager
def writing_records(run: RunFolder, record: type, *parts: str) -> Iterator[Write]:
    """A function that adds a record to a Parquet file, which is written in batches and appears whole or not at all."""
    batch: list[Any] = []
    with run.writing(*parts) as stream, pq.ParquetWriter(stream, arrow.schema(record)) as writer:

        def write(item: Any) -> None:
            batch.append(item)
            if len(batch) == BATCH_ROWS:
                writer.write_table(arrow.to_table(batch, record))
                batch.clear()

        yield write
        if batch:
            writer.write_table(arrow.to_table(batch, record))


def scratch() -> sqlite3.Connection:
    """A private database in a temporary file that is gone when it is closed; it caches at most 32 MB in memory."""
    database = sqlite3.connect("", isolation_level=None)
    database.executescript("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-32768; BEGIN")
    return database


class SeenQuestions:
    """Which question ids came by already, and with which reference."""

    def __init__(self) -> None:
        self._database = scratch()
        self._database.execute("CREATE TABLE seen (id BLOB PRIMARY KEY, reference TEXT) WITHOUT ROWID")

    def add(self, question_id: str, reference: str) -> str | None:
        """None the first time that a question comes by, else the reference that it had then."""
        key = bytes.fromhex(question_id)
        new = self._database.execute("INSERT OR IGNORE INTO seen VALUES (?, ?)", (key, reference)).rowcount
        if new:
            return None
        (known,) = self._database.execute("SELECT reference FROM seen WHERE id = ?", (key,)).fetchone()
        return str(known)
