"""Real examples for the report: a bounded, seeded sample of corrections, of what was dropped, and of exam answers.

`report` offers every collected row to a `Gallery` while it counts them, and asks `exam_answers` for held-out questions
as each model answered them. Only sampled rows stay in memory.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import Any, Generic, TypeVar

from lema_ray.records import Attempt, Correction, Dropped, GradedAttempt, GradedQuestion, Question
from lema_ray.report.funnel import fate
from lema_ray.runs import RunFolder
from lema_ray.steps import split_steps

ACCEPTED, OTHERS, EXAM = 120, 12, 12
_LONGEST = 6000  # characters of one text; a runaway answer must not fill the page

T = TypeVar("T")


class Reservoir(Generic[T]):
    """A uniform sample of a stream of unknown length (Vitter 1985, algorithm R)."""

    def __init__(self, size: int, seed: str) -> None:
        self.items: list[T] = []
        self._size, self._seen, self._random = size, 0, random.Random(seed)

    def offer(self, item: T) -> None:
        """Take the item with the chance that keeps the sample uniform."""
        self._seen += 1
        if len(self.items) < self._size:
            self.items.append(item)
        elif (place := self._random.randrange(self._seen)) < self._size:
            self.items[place] = item


Shown = tuple[Question, GradedAttempt | None, Correction | Dropped | None]


@dataclass(slots=True)
class Gallery:
    """One reservoir per outcome: accepted corrections, each drop reason, unsure and cut-off attempts."""

    seed: int = 0
    _kept: dict[str, Reservoir[Shown]] = field(default_factory=dict)

    def add(self, graded: GradedQuestion) -> None:
        """Offer everything that happened to one question."""
        by_id = {one.attempt.id: one for one in graded.attempts}
        for correction in graded.corrections:
            self._offer("accepted", (graded.question, by_id.get(correction.attempt_id), correction))
        for drop in graded.drops:
            self._offer(f"dropped: {drop.reason}", (graded.question, by_id.get(drop.id), drop))
        for one in graded.attempts:
            if fate(one) in ("unsure", "cut off"):
                self._offer(fate(one), (graded.question, one, None))

    def _offer(self, outcome: str, shown: Shown) -> None:
        size = ACCEPTED if outcome == "accepted" else OTHERS
        self._kept.setdefault(outcome, Reservoir(size, f"{self.seed} {outcome}")).offer(shown)

    def cards(self) -> list[dict[str, Any]]:
        """What the page shows, accepted corrections first."""
        outcomes = sorted(self._kept, key=lambda outcome: (outcome != "accepted", outcome))
        return [card(outcome, *shown) for outcome in outcomes for shown in self._kept[outcome].items]


def card(
    outcome: str, question: Question, one: GradedAttempt | None, end: Correction | Dropped | None
) -> dict[str, Any]:
    """One example for the template, texts cut into marked steps."""
    correction = end if isinstance(end, Correction) else None
    steps = _clipped_steps(one.attempt) if one else []
    wrong_step = correction.wrong_step if correction else None
    return {
        "outcome": outcome,
        "recipe": correction.recipe if correction else None,
        "question": question,
        "fate": fate(one) if one else None,
        "attempt": one.attempt if one else None,
        "grade": one.grade if one else None,
        "steps": [(text, "wrong" if i == wrong_step else "") for i, text in enumerate(steps)],
        "wrong_step": None if wrong_step is None else wrong_step + 1,
        "correction": correction,
        "revision": list(mark_changes(steps, split_steps(correction.revision[:_LONGEST]))) if correction else [],
        "drop": end if isinstance(end, Dropped) else None,
    }


def _clipped_steps(attempt: Attempt) -> list[str]:
    return split_steps(attempt.text[:_LONGEST])


def mark_changes(before: list[str], after: list[str]) -> Iterator[tuple[str, str]]:
    """Each step of `after` with "changed" when `before` has no such step in its place, else ""."""
    matcher = SequenceMatcher(a=[s.strip() for s in before], b=[s.strip() for s in after], autojunk=False)
    kept = {block.b + i for block in matcher.get_matching_blocks() for i in range(block.size)}
    for i, step in enumerate(after):
        yield step, "" if i in kept else "changed"


def exam_answers(
    run: RunFolder, files: dict[str, str], baseline: str, model: str, seed: int = 0
) -> list[dict[str, Any]]:
    """Held-out questions as every model answered them, some for each way the model differs from the baseline.

    `files` maps a model to its evaluation below `evaluations/`. Shown is each model's first sample.
    """
    before = {g.question.id: len(g.right) for g in _evaluation(run, files[baseline])}
    kept = {
        name: Reservoir[GradedQuestion](EXAM, f"{seed} {name}")
        for name in ("gained", "lost", "both right", "both wrong")
    }
    for graded in _evaluation(run, files[model]):
        kept[_change(before.get(graded.question.id, 0), len(graded.right))].offer(graded)
    answers: dict[str, list[dict[str, Any]]] = {g.question.id: [] for name in kept for g in kept[name].items}
    for name, file in files.items():
        for graded in _evaluation(run, file):
            if graded.question.id in answers and graded.attempts:
                answers[graded.question.id].append(_answer(name, graded))
    return [
        {"outcome": name, "question": g.question, "answers": answers[g.question.id]}
        for name in kept
        for g in kept[name].items
    ]


def _evaluation(run: RunFolder, file: str) -> Iterator[GradedQuestion]:
    return run.read_records(GradedQuestion, "evaluations", file)


def _change(before: int, after: int) -> str:
    if before != after:
        return "gained" if after > before else "lost"
    return "both right" if after else "both wrong"


def _answer(model: str, graded: GradedQuestion) -> dict[str, Any]:
    first = graded.attempts[0]
    rights = f"{len(graded.right)} of {len(graded.attempts)} right" if len(graded.attempts) > 1 else None
    return {
        "model": model,
        "fate": fate(first),
        "grade": first.grade,
        "steps": _clipped_steps(first.attempt),
        "rights": rights,
    }
