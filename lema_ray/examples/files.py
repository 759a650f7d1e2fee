"""Files of a run that are written row by row, so that no stage of the build holds a whole data set.

Used by the build's passes and by exports. A reader sees the whole file or none: it gets its name when it is complete.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa
import pyarrow.parquet as pq

from lema_ray.runs import RunFolder

ROWS_PER_GROUP = 1024


@contextmanager
def open_table(run: RunFolder, schema: pa.Schema, *parts: str) -> Iterator[pq.ParquetWriter]:
    """A Parquet writer for batches of one schema."""
    with run.writing(*parts) as stream, pq.ParquetWriter(stream, schema) as writer:
        yield writer
