"""What a training would learn, before it starts: shares by kind, the longest rows, rows in colour, and one template.

`lema train --preview` prints `preflight`. The checks that need the model on its workers are in `first_step`.
"""

from __future__ import annotations

import io
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from lema_ray.config import RunConfig
from lema_ray.engines.chat_template import ChatTemplate
from lema_ray.models import resolve_model
from lema_ray.records import TrainingExample
from lema_ray.runs import RunFolder
from lema_ray.training.masking import (
    NOT_LEARNED,
    MaskingError,
    Tokenized,
    check_lengths,
    tokenize_example,
    tokenize_pair,
)
from lema_ray.training.packing import best_fit
from lema_ray.training.tokenized import arm_objective, row_limit

ROWS_READ = 20_000
"""Rows of an arm that are tokenized for its figures; a training itself tokenizes all."""
ROWS_SHOWN = 3


def preflight(config: RunConfig, run: RunFolder, base: str) -> str:
    """Every arm's figures and its first rows in colour. Raises `MaskingError` for a row that cannot be trained on.

    Rows that are too long are named here, and refused where the training starts.
    """
    path = resolve_model(base)
    template, limit = ChatTemplate(path), row_limit(path, config.train.max_length)
    return "\n".join(_arm(config, run, arm, template, limit) for arm in config.build.arms)


def _arm(config: RunConfig, run: RunFolder, arm: str, template: ChatTemplate, limit: int) -> str:
    objective = arm_objective(run, arm, config.train.objective)
    stored = run.read_records(TrainingExample, "examples", arm, "train.parquet", batch_rows=64)
    examples = list(itertools.islice(stored, ROWS_READ))
    tokenize = tokenize_pair if objective == "dpo" else tokenize_example
    rows = [tokenize(example, template.tokenizer) for example in examples]
    for example, row in zip(examples, rows, strict=True):
        check_template(example, row, template)
    more = f" (the first {ROWS_READ:,} rows)" if len(examples) == ROWS_READ else ""
    head = [f"== {arm} ==", f"{len(rows):,} rows for {objective}{more}, under the template that serves the model"]
    lines = [*head, *_shares(examples, rows), *_lengths(rows, limit, config.build.too_long), _padding(config, rows)]
    return "\n".join([*lines, preview(_first_of_each_kind(examples), template.tokenizer)])


def check_template(example: TrainingExample, row: Tokenized, template: ChatTemplate) -> None:
    """Raise `MaskingError` unless the row begins with exactly the tokens that a served model is asked with."""
    asked = template.tokens(example.prompt)
    if row.input_ids[: len(asked)] != asked or any(label != NOT_LEARNED for label in row.labels[: len(asked)]):
        raise MaskingError(
            f"row {example.id} ({example.kind}): it does not begin with the tokens that the served model is asked with;"
            " is its chat template the one that training uses?"
        )


def _shares(examples: Sequence[TrainingExample], rows: Sequence[Tokenized]) -> Iterator[str]:
    tokens, learned, count = Counter[str](), Counter[str](), Counter[str]()
    for example, row in zip(examples, rows, strict=True):
        count[example.kind] += 1
        tokens[example.kind] += len(row.input_ids)
        learned[example.kind] += row.learned
    for kind, number in count.most_common():
        share = f"{learned[kind] / tokens[kind]:.1%}"
        yield f"  {kind}: {number:,} rows, {learned[kind]:,} of {tokens[kind]:,} tokens learned ({share})"


def _lengths(rows: Sequence[Tokenized], limit: int, too_long: str) -> Iterator[str]:
    report = check_lengths(rows, limit)
    yield "  longest rows: " + ", ".join(f"{row} ({tokens:,} tokens)" for row, tokens in report.longest)
    if report.too_long:
        what = "training refuses to start" if too_long == "refuse" else "they are left out"
        yield f"  {len(report.too_long)} rows are longer than {limit:,} tokens and would be cut: {what}"


def _padding(config: RunConfig, rows: Sequence[Tokenized]) -> str:
    """What packing would make of it: the share of places filled, against batches of rows as they come."""
    lengths, size = [row.length for row in rows], int(config.train.trainer.get("per_device_train_batch_size", 8))
    batches = [lengths[start : start + size] for start in range(0, len(lengths), size)]
    padded = sum(lengths) / sum(len(batch) * max(batch) for batch in batches)
    longest = max(config.train.max_length or 0, *lengths)
    packed = sum(lengths) / (len(best_fit(lengths, longest)) * longest)
    return f"  {padded:.1%} of a padded batch of {size} would be tokens, {packed:.1%} of packs of {longest:,}"


def preview(examples: Iterable[TrainingExample], tokenizer: Any) -> str:
    """Rows as the trainer will see them, for a terminal: learned tokens green, all others dim."""
    from rich.console import Console
    from rich.text import Text

    console = Console(file=io.StringIO(), force_terminal=True, color_system="standard", width=120, highlight=False)
    for example in examples:
        row = tokenize_example(example, tokenizer)
        console.print(f"{example.id} {example.kind}: {row.learned} of {len(row.input_ids)} tokens are learned")
        parts = [(text, "green" if is_learned else "dim") for is_learned, text in _stretches(row, tokenizer)]
        console.print(Text.assemble(*parts), soft_wrap=True)
    return str(console.file.getvalue())  # type: ignore[attr-defined]


def _first_of_each_kind(examples: Sequence[TrainingExample]) -> list[TrainingExample]:
    """Three rows, as many kinds among them as can be."""
    first = {example.kind: example for example in reversed(examples)}
    others = (example for example in examples if example is not first[example.kind])
    return list(itertools.islice(itertools.chain(reversed(first.values()), others), ROWS_SHOWN))


def _stretches(row: Tokenized, tokenizer: Any) -> Iterator[tuple[bool, str]]:
    for is_learned, pairs in itertools.groupby(
        zip(row.input_ids, row.labels, strict=True), key=lambda pair: pair[1] != NOT_LEARNED
    ):
        ids = [token for token, _ in pairs]
        yield is_learned, tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
