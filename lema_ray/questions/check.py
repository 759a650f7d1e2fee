"""Does every reference answer grade right? Called by `lema questions`, before anything is paid for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from lema_ray.config import SourceConfig
from lema_ray.questions.read import read_questions
from lema_ray.records import Dropped, Grade, Question, Task, Verdict


class GradeText(Protocol):
    """`lema_ray.grading.grade`."""

    def __call__(self, text: str, reference: str, *, task: Task, choices: Sequence[str] | None) -> Grade: ...


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A question whose own solution, or bare reference, does not grade right. `where` is file:line."""

    where: str
    question: Question
    text: str
    grade: Grade


@dataclass(slots=True)
class SourceCheck:
    """What `check_source` counted: rows read, questions in them by verdict, and rows dropped by reason."""

    rows: int = 0
    verdicts: Counter[Verdict] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)


def check_source(
    source: SourceConfig, grade: GradeText, found: Callable[[Mismatch | Dropped], None] = lambda item: None
) -> SourceCheck:
    """Grade each question's own solution, or "The answer is <reference>.", and tell `found` of each that is not right.

    Rows that are no questions are told as `Dropped`. Raises `QuestionError` as `read_questions` does.
    """
    check = SourceCheck()
    for where, item in read_questions(source):
        check.rows += 1
        if isinstance(item, Dropped):
            check.dropped[item.reason] += 1
            found(item)
            continue
        if item.task == "code" and item.solution is None:
            check.dropped["no_solution_to_run"] += 1
            continue
        text = item.solution or f"The answer is {item.reference}."
        verdict = grade(text, item.reference, task=item.task, choices=item.choices)
        check.verdicts[verdict.verdict] += 1
        if verdict.verdict != "right":
            found(Mismatch(where, item, text, verdict))
    return check
