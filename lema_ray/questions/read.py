"""A source of the config as a stream of questions. Called by `prepare` and `check`."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Any

from lema_ray.config import SourceConfig
from lema_ray.questions.conversations import CONVERSATIONS, WITH_ATTEMPT, error_correction, follow_up_questions
from lema_ray.questions.errors import QuestionError
from lema_ray.questions.fields import USUAL, USUAL_PROGRAMS, FieldMap
from lema_ray.questions.files import find_files
from lema_ray.questions.procedural import made_by_rule, reasoning_gym_rows
from lema_ray.questions.readers import Row, read_rows
from lema_ray.questions.sources import NAMED, NamedSource
from lema_ray.records import Dropped, Question

Found = tuple[str, Question | Dropped]
"""Where it was found (file:line) and the question there, or why there is none."""

UNNAMED = ("files", "hub", "reasoning_gym", "word_problems", "program_problems", *CONVERSATIONS)
PATIENCE = 1000


def read_questions(source: SourceConfig, seed: int = 0) -> Iterator[Found]:
    """Every row of a source, in order, up to `limit` usable questions; memory does not grow with the source.

    `seed` is added to the source's own and matters to generators only. Raises `QuestionError` when the source is not
    there, is malformed or empty, or when nothing of its first `PATIENCE` rows is usable.
    """
    if source.source in ("word_problems", "program_problems"):
        found: Iterator[Found] = made_by_rule(source.source, source.count, source.seed + seed, source.options)
        fields = None
    else:
        fields = _field_map(source)
        found = _found(source, fields, _rows(source, seed))
    yield from _watched(_limited(found, source.limit), fields, source.path or source.hub_id or source.source)


def _found(source: SourceConfig, fields: FieldMap, rows: Iterator[Row]) -> Iterator[Found]:
    for row in rows:
        if source.source == "follow_ups":
            yield from follow_up_questions(row, fields)
        elif source.source == "error_correction":
            yield fields.where(row), error_correction(row, fields)
        else:
            yield fields.where(row), fields.question(row)


def _limited(found: Iterator[Found], limit: int | None) -> Iterator[Found]:
    usable = 0
    for where, item in found:
        yield where, item
        usable += isinstance(item, Question)
        if usable == limit:
            return


def _watched(found: Iterator[Found], fields: FieldMap | None, name: str) -> Iterator[Found]:
    """The same stream, but it raises when it becomes clear that this source or its field names are the wrong ones."""
    rows, usable, first = 0, 0, None
    for where, item in found:
        rows, usable = rows + 1, usable + isinstance(item, Question)
        first = item if first is None and isinstance(item, Dropped) else first
        yield where, item
        if rows == PATIENCE:
            _check(rows, usable, first, fields, name)
    _check(rows, usable, first, fields, name)


def _check(rows: int, usable: int, first: Dropped | None, fields: FieldMap | None, name: str) -> None:
    if rows == 0:
        raise QuestionError(f"{name}: the source is empty")
    if usable == 0 and first:
        raise QuestionError(
            f"{name}: none of {rows} rows is a usable question; {first.id}: {first.reason}: {first.detail}"
        )
    if fields and fields.unseen:
        raise QuestionError(f"{name}: no row has the field that fields names for {', '.join(sorted(fields.unseen))}")


def _field_map(source: SourceConfig) -> FieldMap:
    named = _named(source)
    if named is None:
        label = {"hub": source.hub_id, "reasoning_gym": f"reasoning_gym/{source.options.get('dataset')}"}
        usual = USUAL_PROGRAMS if source.task == "code" else USUAL
        if source.source == "error_correction":
            usual = WITH_ATTEMPT
        if source.fields and source.source == "follow_ups":
            raise QuestionError("source follow_ups: the columns are Q1, A1, Q2, A2, ...; leave fields out")
        return FieldMap(source.fields, usual, answer=source.answer, task=source.task, source=label.get(source.source))
    return FieldMap(
        source.fields,
        {**(USUAL_PROGRAMS if (source.task or named.task) == "code" else USUAL), **named.fields},
        answer=named.answer if source.answer == "auto" else source.answer,
        task=source.task or named.task,
        source=source.source,
        adjust=named.adjust,
        adjust_text=named.adjust_text,
    )


def _named(source: SourceConfig) -> NamedSource | None:
    if source.source in UNNAMED:
        return None
    if source.source in NAMED:
        return NAMED[source.source]
    near = difflib.get_close_matches(source.source, [*NAMED, *UNNAMED], n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join([*NAMED, *UNNAMED])}"
    raise QuestionError(f"unknown source {source.source!r}; {hint}")


def _rows(source: SourceConfig, seed: int) -> Iterator[Row]:
    if source.source == "reasoning_gym":
        return reasoning_gym_rows(source.count, source.seed + seed, source.options)
    named = _named(source)
    split = named.only_split if named else None
    if source.source in ("files", *CONVERSATIONS) or (named and source.path):
        return _file_rows(source, None if split else source.split)
    hub_id = source.hub_id or (named.hub_id if named else None)
    if hub_id is None:
        raise QuestionError("source hub: hub_id is missing, for example hub_id: openai/gsm8k")
    return _hub_rows(hub_id, source.hub_config or (named.hub_config if named else None), split or source.split)


def _file_rows(source: SourceConfig, split: str | None) -> Iterator[Row]:
    if source.path is None:
        raise QuestionError(f"source {source.source}: path is missing: a file, a directory, a glob, s3:// or gs://")
    for file in find_files(source.path, split):
        yield from read_rows(file, split or source.split)


def _hub_rows(hub_id: str, config: str | None, split: str) -> Iterator[Row]:
    rows = _open_hub(hub_id, config, split)
    for number, data in enumerate(rows, 1):
        yield Row(f"{hub_id}/{split}:{number}", data)


def _open_hub(hub_id: str, config: str | None, split: str) -> Iterator[dict[str, Any]]:
    try:
        from datasets import load_dataset
    except ImportError:
        raise QuestionError("hub data sets need the datasets package: pip install 'lema-ray[train]'") from None
    try:
        yield from load_dataset(hub_id, config, split=split, streaming=True)
    except Exception as error:
        # The hub's client raises OSErrors, ValueErrors and errors of its own for one and the same cause.
        reason = str(error).strip().partition("\n")[0]
        which = f"{hub_id}{f' ({config})' if config else ''}, split {split}"
        raise QuestionError(
            f"hub data set {which}: {reason}. Without a connection, give a local copy in path"
        ) from None
