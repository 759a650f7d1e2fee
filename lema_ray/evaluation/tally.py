"""What is kept of one model's graded answers while they stream by: a dozen bytes a question, and sums.

Filled by `evaluation` from evaluation files of any size. Questions are known by a 64-bit hash of their id.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from typing import Any

from lema_ray import statistics
from lema_ray.grading import PUBLISHED
from lema_ray.grading.votes import answer_classes
from lema_ray.records import GradedAttempt, GradedQuestion, GradingMode
from lema_ray.self_correction.measures import SelfCorrection

MAX_GROUPS = 200
POWERS = (2, 4, 8, 16, 32, 64)


@dataclass(slots=True)
class Groups:
    """Which group (level, or subject) each question is in: names once, a number a question."""

    names: dict[str, int] = field(default_factory=dict)
    numbers: array[int] = field(default_factory=lambda: array("H"))

    def add(self, name: str | None) -> None:
        """The group of the next question; 0 for none, and beyond `MAX_GROUPS` names all are "other"."""
        if name is None:
            self.numbers.append(0)
            return
        known = name if name in self.names or len(self.names) < MAX_GROUPS else "other"
        self.numbers.append(self.names.setdefault(known, len(self.names) + 1))


@dataclass(slots=True)
class Tally:
    """Right attempts per question, and the sums over all answers of one model."""

    modes: Sequence[GradingMode] = ()
    ids: array[int] = field(default_factory=lambda: array("Q"))
    rights: array[int] = field(default_factory=lambda: array("H"))
    levels: Groups = field(default_factory=Groups)
    types: Groups = field(default_factory=Groups)
    majorities: dict[int, float] = field(default_factory=dict)
    right_by_mode: dict[str, int] = field(default_factory=dict)
    samples: int = 0
    answered: int = 0
    cut_off: int = 0
    no_answer: int = 0
    unsure: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    correcting: SelfCorrection = field(default_factory=SelfCorrection)
    policy: str = "off"

    def add(self, graded: GradedQuestion) -> None:
        """Count one question."""
        self.ids.append(hashed(graded.question.id))
        self.rights.append(len(graded.right))
        self.levels.add(graded.question.level)
        self.types.add(graded.question.type)
        self.samples = max(self.samples, len(graded.attempts))
        for one in graded.attempts:
            self._add_attempt(one)
        self.correcting.add_question(graded)
        for mode in self.modes:
            self._add_mode(mode, graded)
        if len(graded.attempts) > 1:
            self._add_majorities(graded)

    def _add_attempt(self, one: GradedAttempt) -> None:
        self.answered += 1
        self.cut_off += one.attempt.finish_reason == "length"
        self.no_answer += one.grade.answer is None
        self.unsure += one.grade.verdict == "unsure"
        self.prompt_tokens += one.attempt.prompt_tokens
        self.completion_tokens += one.attempt.completion_tokens
        if one.attempt.trace is not None:
            self.policy = one.attempt.trace.policy

    def _add_mode(self, mode: GradingMode, graded: GradedQuestion) -> None:
        grades = (PUBLISHED[mode](one.attempt.text, graded.question.reference) for one in graded.attempts)
        right = sum(grade.verdict == "right" for grade in grades)
        self.right_by_mode[mode] = self.right_by_mode.get(mode, 0) + right

    def _add_majorities(self, graded: GradedQuestion) -> None:
        classes = answer_classes([one.grade.answer for one in graded.attempts])
        right = {c for c, g in zip(classes, graded.attempts, strict=True) if g.grade.verdict == "right"} - {None}
        for k in powers(len(classes)):
            share = _majority(tuple(classes), tuple(c for c in right if c is not None), k)
            self.majorities[k] = self.majorities.get(k, 0.0) + share

    def _sum(self, other: Tally) -> None:
        for name in ("samples", "answered", "cut_off", "no_answer", "unsure", "prompt_tokens", "completion_tokens"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for mode, right in other.right_by_mode.items():
            self.right_by_mode[mode] = self.right_by_mode.get(mode, 0) + right
        self.correcting.sum(other.correcting)

    def check(self) -> None:
        """Raise `ValueError` when a question came twice."""
        import numpy

        ids = numpy.frombuffer(self.ids, dtype=numpy.uint64)
        twice = len(ids) - len(numpy.unique(ids))
        if twice:
            raise ValueError(f"{twice} questions were answered twice in one evaluation; evaluate again")

    def by_question(self) -> tuple[Any, Any]:
        """Question hashes in order, and the rates of right samples in that order."""
        import numpy

        ids, rights = numpy.frombuffer(self.ids, dtype=numpy.uint64), numpy.frombuffer(self.rights, dtype=numpy.uint16)
        order = numpy.argsort(ids)
        return ids[order], rights[order] / max(self.samples, 1)

    def counts(self, groups: Groups | None = None, number: int = 0) -> list[int]:
        """How many questions had 0, 1, ... `samples` right attempts: of all questions or of one group."""
        import numpy

        rights = numpy.frombuffer(self.rights, dtype=numpy.uint16)
        if groups is not None:
            rights = rights[numpy.frombuffer(groups.numbers, dtype=numpy.uint16) == number]
        return [int(count) for count in numpy.bincount(rights, minlength=self.samples + 1)]


_majority = lru_cache(maxsize=10_000)(statistics.majority_at_k)
"""The same few patterns of votes come again and again."""


def pooled(tallies: Sequence[Tally]) -> Tally:
    """Several models' answers to the same questions as one model's. Raises `ValueError` where questions differ."""
    import numpy

    first, *others = tallies
    if not others:
        return first
    total = Tally(modes=first.modes, levels=first.levels, types=first.types, policy=first.policy)
    order = numpy.argsort(numpy.frombuffer(first.ids, dtype=numpy.uint64))
    rights = numpy.frombuffer(first.rights, dtype=numpy.uint16).copy()
    for other in others:
        ids, rates = other.by_question()
        if len(ids) != len(order) or (ids != first.by_question()[0]).any():
            raise ValueError("models of one arm answered different questions; evaluate again")
        rights[order] += numpy.rint(rates * other.samples).astype(numpy.uint16)
    total.ids, total.rights = first.ids, array("H", rights.tobytes())
    for one in tallies:
        total._sum(one)
    return total


def hashed(question_id: str) -> int:
    """The 64 bits that a question is known by here."""
    return int.from_bytes(blake2b(question_id.encode(), digest_size=8).digest())


def powers(samples: int) -> list[int]:
    """The k of pass@k and maj@k that so many samples allow."""
    return [k for k in POWERS if k <= samples]


def tally(rows: Iterable[GradedQuestion], modes: Sequence[GradingMode] = ()) -> Tally:
    """Stream graded questions into counts. Raises `ValueError` when a question comes twice."""
    counts = Tally(modes)
    for graded in rows:
        counts.add(graded)
    counts.check()
    return counts
