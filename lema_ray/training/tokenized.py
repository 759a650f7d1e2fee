"""The tokenized rows of one arm: written once by the training workers, each a share, and memory-mapped by all of them.

`on_ray.trainer` calls this in its workers, before any model is loaded. Rows stream; no process holds a data set.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from lema_ray import arrow
from lema_ray.config import Objective
from lema_ray.examples.files import ROWS_PER_GROUP, open_table
from lema_ray.models import context_length
from lema_ray.records import Dropped, TrainingExample
from lema_ray.runs import RunFolder
from lema_ray.training.masking import Tokenized, check_lengths, tokenize_example, tokenize_pair

IDS = pa.list_(pa.int32())
SCHEMA = pa.schema([("id", pa.string()), ("input_ids", IDS), ("labels", IDS)])
PAIRS = pa.schema([*SCHEMA, ("rejected_input_ids", IDS), ("rejected_labels", IDS)])


def row_limit(base: str, max_length: int | None) -> int:
    """The most tokens a row may have: `train.max_length`, else the context length of the model."""
    if max_length or (max_length := context_length(base)):
        return max_length
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(base).get_text_config()
    return int(getattr(config, "max_position_embeddings", None) or sys.maxsize)


def arm_objective(run: RunFolder, arm: str, asked: Objective | None) -> Objective:
    """What an arm's rows are trained for: as asked, else DPO where the first one is a preference pair."""
    if asked:
        return asked
    rows = run.read_records(TrainingExample, "examples", arm, "train.parquet", batch_rows=1)
    first = next(rows, None)
    return "dpo" if first and first.rejected is not None else "sft"


def tokenize_share(
    run: RunFolder,
    arm: str,
    split: str,
    share: tuple[int, int],
    tokenizer: Any,
    limit: int,
    too_long: str,
    objective: Objective = "sft",
) -> dict[str, int]:
    """Tokenize one of `share[1]` equal stretches of an arm's rows, unless that was done; returns its counts.

    For DPO both answers of a pair are kept; for SFT the chosen one of a pair is the row. Rows longer than `limit` raise
    `MaskingError` where `too_long` is "refuse"; otherwise they are left out and written as `Dropped`. Counts are
    examples, tokens, learned_tokens and dropped.
    """
    name = f"{split}-{share[0]:05}-of-{share[1]:05}"
    folder = ("checkpoints", arm, "tokenized")
    if run.exists(*folder, f"{name}.json"):
        return dict(run.read_json(*folder, f"{name}.json"))
    counts = dict.fromkeys(("examples", "tokens", "learned_tokens", "dropped"), 0)
    schema, tokenize = (PAIRS, tokenize_pair) if objective == "dpo" else (SCHEMA, tokenize_example)
    rows = (tokenize(example, tokenizer) for example in _examples(run, arm, split, share))
    with open_table(run, schema, *folder, f"{name}.parquet") as writer:
        report = check_lengths(_written(rows, schema, limit, writer, counts), limit)
    if too_long == "refuse":
        report.refuse()
    counts["dropped"] = len(report.too_long)
    run.write_records(report.drops(), Dropped, "checkpoints", arm, "dropped", f"{name}.parquet")
    run.write_json(counts, *folder, f"{name}.json")
    return counts


def open_rows(run: RunFolder, arm: str, split: str, shares: int, objective: Objective = "sft") -> Any:
    """All rows of a split, in their order, as a memory-mapped `datasets.Dataset`; None if there are none.

    Columns: those that were tokenized, and `row`, the number of the row.
    """
    from datasets import Dataset

    descriptor, path = tempfile.mkstemp(suffix=".arrow")
    os.close(descriptor)
    rows = 0
    schema = (PAIRS if objective == "dpo" else SCHEMA).append(pa.field("row", pa.int64()))
    with pa.ipc.new_stream(path, schema) as writer:
        for share in range(shares):
            name = f"{split}-{share:05}-of-{shares:05}.parquet"
            for batch in _batches(run.uri("checkpoints", arm, "tokenized", name)):
                numbers = pa.array(range(rows, rows + batch.num_rows), pa.int64())
                writer.write_batch(pa.record_batch([*batch.columns, numbers], schema))
                rows += batch.num_rows
    dataset = Dataset.from_file(path) if rows else None
    # The mapping keeps the file's blocks; without a name they go when the process does.
    os.unlink(path)
    return dataset


def _written(
    rows: Iterable[Tokenized], schema: pa.Schema, limit: int, writer: pq.ParquetWriter, counts: dict[str, int]
) -> Iterator[Tokenized]:
    held: list[dict[str, Any]] = []
    for row in rows:
        if row.length <= limit:
            counts["examples"] += 1
            counts["tokens"] += len(row.input_ids) + len(row.rejected_input_ids or ())
            counts["learned_tokens"] += row.learned
            held.append({name: getattr(row, name) for name in schema.names})
        if len(held) >= ROWS_PER_GROUP:
            writer.write_table(pa.Table.from_pylist(held, schema))
            held = []
        yield row
    if held:
        writer.write_table(pa.Table.from_pylist(held, schema))


def _examples(run: RunFolder, arm: str, split: str, share: tuple[int, int]) -> Iterator[TrainingExample]:
    """One stretch of the rows. Stretches follow one another, so their number does not change the order of the rows."""
    if not run.exists("examples", arm, f"{split}.parquet"):
        return
    uri = run.uri("examples", arm, f"{split}.parquet")
    groups = _row_groups(uri)
    mine = range(groups * share[0] // share[1], groups * (share[0] + 1) // share[1])
    for batch in _batches(uri, list(mine)):
        yield from arrow.from_table(TrainingExample, pa.Table.from_batches([batch]))


def _row_groups(uri: str) -> int:
    filesystem, path = fs.FileSystem.from_uri(uri)
    with filesystem.open_input_file(path) as file:
        return int(pq.ParquetFile(file).num_row_groups)


def _batches(uri: str, row_groups: list[int] | None = None) -> Iterator[pa.RecordBatch]:
    filesystem, path = fs.FileSystem.from_uri(uri)
    with filesystem.open_input_file(path) as file:
        yield from pq.ParquetFile(file).iter_batches(ROWS_PER_GROUP, row_groups=row_groups)
