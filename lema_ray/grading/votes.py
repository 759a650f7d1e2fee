"""Answers of several attempts at one question, grouped by what they mean: `1/2`, `0.5` and `\\frac12` are one vote.

Called by `evaluation` (maj@k), `audit` and `corrections` (references that most attempts contradict). Exact comparisons
only, so it needs no process.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

from lema_ray.grading.compare import compare_exactly
from lema_ray.grading.numbers import read_number
from lema_ray.grading.spelling import normalise
from lema_ray.records import GradedQuestion

MIN_VOTES = 3
"""Fewer attempts that agree on another answer than the reference say nothing about the reference."""


def answer_classes(answers: Sequence[str | None]) -> list[int | None]:
    """For each answer the number of its class, in order of first appearance; None where there is no answer."""
    known: dict[object, int] = {}
    examples: list[str] = []
    classes: list[int | None] = []
    for answer in answers:
        if answer is None:
            classes.append(None)
            continue
        key = _key(answer)
        if key not in known:
            known[key] = _matching(answer, isinstance(key, tuple), examples)
            if known[key] == len(examples):
                examples.append(answer)
        classes.append(known[key])
    return classes


@lru_cache(maxsize=10_000)
def _key(answer: str) -> object:
    plain = normalise(answer[:1_500])
    number = read_number(plain)
    return (number.value, number.percent, number.unit) if number else plain.casefold().replace(" ", "")


def _matching(answer: str, is_number: bool, examples: Sequence[str]) -> int:
    """The class of an answer that is spelt like none before: of the first example that it equals, or a new one."""
    for number, example in enumerate(examples[:16]):
        if is_number and isinstance(_key(example), tuple) and "%" not in answer + example:
            continue  # two numbers with different keys
        compared = compare_exactly(answer, example)
        if compared is not None and compared.verdict == "right":
            return number
    return len(examples)


def contradicting_majority(graded: GradedQuestion) -> tuple[str, int, int] | None:
    """The answer, other than the reference, that most of the students' finished attempts agree on.

    With its votes, and the attempts. None when there is no such answer, fewer than `MIN_VOTES` for it, or the reference
    was reviewed. A favourite mistake looks the same: a reason to look at the reference and no proof against it.
    """
    finished = () if graded.question.reviewed else graded.finished
    classes = answer_classes([g.grade.answer for g in finished])
    counts = Counter(c for c in classes if c is not None)
    if not counts:
        return None
    ((winner, votes),) = counts.most_common(1)
    members = [g for g, c in zip(finished, classes, strict=True) if c == winner]
    if votes < MIN_VOTES or 2 * votes <= len(finished) or any(g.grade.verdict != "wrong" for g in members):
        return None
    return members[0].grade.answer or "", votes, len(finished)
