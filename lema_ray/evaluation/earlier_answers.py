"""Answers that were sampled already, in this run before it was killed or in runs that `evaluate.reuse` names.

Used by `on_ray.evaluate`. Every row of an evaluation carries the key of what was asked; the index over them holds 20
bytes a row, and texts are read from the files by row group when they are wanted. Reused answers are graded anew.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lema_ray import arrow
from lema_ray.attempts import attempt_id, request_seed, solve_prompt
from lema_ray.config import ConfigError, EvaluationSampling
from lema_ray.records import UNGRADED, Attempt, GradedAttempt, GradedQuestion, Question
from lema_ray.runs import RunFolder

KEY = "asked"
"""The column with the key; null where an answer is missing, so that the question is asked again."""
PARTS = "evaluating"
"""Folder of the chunks of an evaluation that is not finished."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a model is asked in one evaluation, all but the question."""

    identity: str
    model: str
    sampling: EvaluationSampling
    few_shot: int
    seed: int
    warnings: tuple[str, ...] = ()

    def key(self, question: Question) -> str:
        """32 hex digits of model content, question, prompt, sampling, policy and the seed of every sample."""
        prompt = [[m.role, m.content] for m in solve_prompt(question, self.few_shot, self.warnings)]
        seeds = [self._seed(question, k) for k in range(self.sampling.samples)]
        content = [self.identity, question.id, prompt, asdict(self.sampling.with_seed(None)), seeds]
        if self.sampling.policy.policy != "off":
            content.append(self.sampling.policy.model_dump(mode="json"))
        return hashlib.blake2b(json.dumps(content).encode(), digest_size=16).hexdigest()

    def _seed(self, question: Question, k: int) -> int | None:
        return request_seed(self.sampling, self.seed, question.id, self.model, k)

    def restored(self, question: Question, earlier: Sequence[Attempt]) -> GradedQuestion:
        """The question with earlier answers under this model's name, to be graded; without any, to be asked."""
        named = (replace(a, id=attempt_id(question.id, self.model, k), model=self.model) for k, a in enumerate(earlier))
        return GradedQuestion(question, tuple(GradedAttempt(attempt, UNGRADED) for attempt in named))


def with_keys(table: pa.Table, keys: Sequence[str], samples: int) -> pa.Table:
    """Evaluated rows with the key of each, null where not every sample was answered."""
    whole = pc.equal(pc.list_value_length(table["attempts"]), samples)
    return table.append_column(KEY, pc.if_else(whole, pa.array(keys, pa.string()), pa.scalar(None, pa.string())))


@dataclass(frozen=True, slots=True)
class EarlierAnswers:
    """Where answers are: sorted first halves of keys, and for each (file, row group, row)."""

    files: tuple[tuple[RunFolder, str], ...]
    keys: np.ndarray[Any, Any]
    places: np.ndarray[Any, Any]

    def find(self, keys: Sequence[str]) -> dict[str, tuple[Attempt, ...]]:
        """The answers under those of the keys that there are any for. Each row group is read once a call."""
        groups: dict[tuple[int, int], list[int]] = defaultdict(list)
        for key in keys:
            short = _short(key)
            at = int(np.searchsorted(self.keys, short))
            if at < len(self.keys) and self.keys[at] == short:
                file, group, row = map(int, self.places[at])
                groups[file, group].append(row)
        found: dict[str, tuple[Attempt, ...]] = {}
        for (file, group), rows in groups.items():
            for row in self._read(file, group).take(rows).to_pylist():
                found[row[KEY]] = tuple(arrow.from_row(GradedAttempt, one).attempt for one in row["attempts"])
        return {key: found[key] for key in keys if key in found}

    def _read(self, file: int, group: int) -> pa.Table:
        run, name = self.files[file]
        with run.opened(name) as stream:
            return pq.ParquetFile(stream).read_row_group(group, columns=[KEY, "attempts"])


def read_earlier(run: RunFolder, others: Sequence[str] = ()) -> EarlierAnswers:
    """The index over a run and others. Raises `ConfigError` for another run without answers that can be reused."""
    files: list[tuple[RunFolder, str]] = []
    keys, places = [np.empty(0, np.uint64)], [np.empty((0, 3), np.int32)]
    for number, one in enumerate((run, *map(RunFolder, others))):
        before = len(keys)
        for name in (f"{top}/{name}" for top in ("evaluations", PARTS) for name in one.files(top, suffix=".parquet")):
            for group, column in enumerate(_key_columns(one, name)):
                rows = np.flatnonzero([key is not None for key in column])
                keys.append(np.array([_short(column[row]) for row in rows], np.uint64))
                places.append(np.array([(len(files), group, row) for row in rows], np.int32).reshape(-1, 3))
            files.append((one, name))
        if number and len(keys) == before:
            raise ConfigError(f"evaluate.reuse: {one.root} has no evaluation whose answers can be reused")
    order = np.argsort(every := np.concatenate(keys), kind="stable")
    return EarlierAnswers(tuple(files), every[order], np.concatenate(places)[order])


def _short(key: str) -> np.uint64:
    return np.uint64(int(key[:16], 16))


def _key_columns(run: RunFolder, name: str) -> list[list[str | None]]:
    """The keys of each row group; none for a file of a version that did not write them."""
    with run.opened(name) as stream:
        try:
            file = pq.ParquetFile(stream)
            if KEY not in file.schema_arrow.names:
                return []
            return [file.read_row_group(g, columns=[KEY])[KEY].to_pylist() for g in range(file.num_row_groups)]
        except pa.ArrowInvalid as error:
            raise ConfigError(f"{run.uri(name)} cannot be read ({error}); delete it, or evaluate without it") from None
