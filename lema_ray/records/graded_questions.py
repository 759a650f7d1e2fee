"""The row that flows through collect: a question and all that happened to it. Part of `lema_ray.records`."""

from __future__ import annotations

from dataclasses import dataclass

from lema_ray.records.attempts import Attempt, GradedAttempt
from lema_ray.records.corrections import Analysis, Correction, Dropped, Judgement, RecipeSpend
from lema_ray.records.questions import Question


def _finished_by_student(attempt: Attempt) -> bool:
    return attempt.finish_reason != "length" and attempt.origin != "written" and not attempt.by_recipe


@dataclass(frozen=True, slots=True)
class GradedQuestion:
    """A question with all its graded attempts and everything that happened to it: the unit that flows.

    One row in, one row out, at every stage of collect. Stages fill in `attempts`, then `judgements`, `analyses`,
    `corrections` and `drops`; `spent` says which recipe asked for how much.
    """

    question: Question
    attempts: tuple[GradedAttempt, ...] = ()
    corrections: tuple[Correction, ...] = ()
    drops: tuple[Dropped, ...] = ()
    analyses: tuple[Analysis, ...] = ()
    judgements: tuple[Judgement, ...] = ()
    spent: tuple[RecipeSpend, ...] = ()

    @property
    def right(self) -> tuple[Attempt, ...]:
        """The attempts graded right, in sampling order."""
        return tuple(g.attempt for g in self.attempts if g.grade.verdict == "right")

    @property
    def wrong(self) -> tuple[Attempt, ...]:
        """The students' mistakes. A cut-off answer is not one (it never finished), nor is what others wrote."""
        return tuple(g.attempt for g in self.attempts if g.grade.verdict == "wrong" and _finished_by_student(g.attempt))

    @property
    def finished(self) -> tuple[GradedAttempt, ...]:
        """The students' own attempts that came to an end, with their grades."""
        return tuple(g for g in self.attempts if _finished_by_student(g.attempt))
