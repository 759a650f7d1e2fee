"""Walks the build: candidates, arms, exports, card. Called by `lema build` and `jobs/` through the package."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from lema_ray import arrow
from lema_ray.config import RunConfig
from lema_ray.examples.arms import Chosen, building_order, choose, read_sizes
from lema_ray.examples.candidates import CANDIDATES, write_candidates
from lema_ray.examples.card import card, card_markdown
from lema_ray.examples.error import BuildError
from lema_ray.examples.exports import export_arm
from lema_ray.examples.files import open_table
from lema_ray.examples.tally import check_tally
from lema_ray.records import TrainingExample
from lema_ray.runs import RunFolder

BATCH = 1024


def build_examples(
    config: RunConfig,
    run: RunFolder,
    count_tokens: Callable[[str], int],
    max_length: int | None = None,
    collected: RunFolder | None = None,
    variants: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Build every arm's `train.parquet`, `dev.parquet` and exports below `examples/`, and the data card.

    Returns the card, with what `variants` says of mixes that were tried. `collected` is the run that rows are made
    from, if it is another one. `count_tokens` is the trained model's tokenizer; a row of more than `max_length` tokens
    is refused or dropped as `config.build.too_long` says. Raises `BuildError` when an arm would be empty, could not be
    matched, or would lack corrections.
    """
    _check_names(config)
    building_order(config.build.arms)
    source = collected or run
    if not source.files("collected", suffix=".parquet"):
        raise BuildError(f"{source.uri('collected')} has no Parquet files: run the collect stage first")
    run.remove("examples")
    tally = write_candidates(config, run, source, count_tokens, max_length)
    check_tally(tally, config.build, max_length)
    sizes = read_sizes(run)
    chosen = choose(config, sizes)
    _write_arms(run, chosen)
    exports = {name: export_arm(run, name, config.build.exports, config.name) for name in chosen}
    counts = card(config, tally, sizes, chosen, exports, max_length)
    if variants:
        counts["variants"] = variants
    run.write_json(counts, "examples", "card.json")
    run.write_text(card_markdown(counts), "examples", "card.md")
    return counts


def _check_names(config: RunConfig) -> None:
    for name, arm in config.build.arms.items():
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
            raise BuildError(f"build.arms: {name!r} names a folder, so it takes letters, digits, - and _ only")
        if not arm.rows or len(set(arm.rows)) < len(arm.rows):
            raise BuildError(f"build.arms.{name}.rows: name at least one kind of rows, and each once")


def _write_arms(run: RunFolder, chosen: Mapping[str, Chosen]) -> None:
    """One pass over the candidates; each batch goes to every arm that takes some of it."""
    schema = arrow.schema(TrainingExample)
    splits = [(name, split, getattr(rows, split)) for name, rows in chosen.items() for split in ("train", "dev")]
    with ExitStack() as stack:
        outputs = [
            (stack.enter_context(open_table(run, schema, "examples", name, f"{split}.parquet")), mask)
            for name, split, mask in splits
        ]
        start = 0
        for batch in _candidate_batches(run):
            for writer, mask in outputs:
                wanted = batch.filter(pa.array(mask[start : start + len(batch)]))
                if len(wanted):
                    writer.write_batch(wanted.cast(schema))
            start += len(batch)


def _candidate_batches(run: RunFolder) -> Iterator[pa.RecordBatch]:
    filesystem, path = fs.FileSystem.from_uri(run.uri(*CANDIDATES))
    with filesystem.open_input_file(path) as file:
        for batch in pq.ParquetFile(file).iter_batches(BATCH, columns=["example"]):
            yield pa.RecordBatch.from_struct_array(cast(pa.StructArray, batch["example"]))
