"""What a recipe is: the protocol that every method file implements, and the outcome it returns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from lema_ray import checks
from lema_ray.config import RecipeConfig
from lema_ray.grading.equations import equations_in
from lema_ray.records import (
    Analysis,
    Attempt,
    Correction,
    Dropped,
    GradedAttempt,
    GradedQuestion,
    Judgement,
    Message,
    Question,
    Task,
    TrainingExample,
)

if TYPE_CHECKING:
    from lema_ray.engines import Generate


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a recipe made of one question: accepted corrections, and what was dropped with its reason and cost.

    `attempts` are those it added (mistakes made on purpose), `analyses` what it found out about mistakes, `judgements`
    what showed that an added attempt is wrong.
    """

    corrections: tuple[Correction, ...] = ()
    drops: tuple[Dropped, ...] = ()
    attempts: tuple[GradedAttempt, ...] = ()
    analyses: tuple[Analysis, ...] = ()
    judgements: tuple[Judgement, ...] = ()

    @classmethod
    def of(cls, made: Sequence[Made], drops: Sequence[Dropped], *found: Correction) -> Outcome:
        """The outcome of attempts that were made, and of corrections that needed none."""
        judged = tuple(one.judgement for one in made if one.judgement is not None)
        corrections = (*found, *(one.correction for one in made))
        return cls(corrections, tuple(drops), tuple(one.attempt for one in made), judgements=judged)

    @classmethod
    def gathered(cls, made: Iterable[Iterable[Correction | Dropped | Judgement]]) -> Outcome:
        """What was made of each mistake, sorted."""
        items = [item for some in made for item in some]
        return cls(
            tuple(item for item in items if isinstance(item, Correction)),
            tuple(item for item in items if isinstance(item, Dropped)),
            judgements=tuple(item for item in items if isinstance(item, Judgement)),
        )


@dataclass(frozen=True, slots=True)
class Made:
    """A wrong attempt that a recipe made from a right one, that one as its correction, and what judged it, if asked."""

    attempt: GradedAttempt
    correction: Correction
    judgement: Judgement | None = None


class Rejected(Exception):
    """A reply that failed a check; `reason` is the code that the funnel counts."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def mistakes(graded: GradedQuestion, config: RecipeConfig) -> list[Attempt]:
    """The question's distinct mistakes in sampling order, as many of them as the config allows."""
    distinct = {(" ".join(a.text.split()) if config.dedupe else a.id): a for a in reversed(graded.wrong)}
    return list(reversed(distinct.values()))[: config.corrections_per_question]


def calculates_rightly(text: str) -> bool:
    """No calculation in the text is false: a solution may be right in the end by luck."""
    return all(equation.is_true for equation in equations_in(text))


def own_right(graded: GradedQuestion) -> list[Attempt]:
    """The students' own right solutions, without those that doubt themselves or calculate falsely on the way.

    Raises `Rejected` when there is none.
    """
    right = [g.attempt for g in graded.finished if g.grade.verdict == "right" and g.attempt.text.strip()]
    if not right:
        raise Rejected("no_right_attempt")
    straight = [attempt for attempt in right if not checks.says_doubt(attempt.text)]
    if not straight:
        raise Rejected("doubts_itself")
    sound = [attempt for attempt in straight if calculates_rightly(attempt.text)]
    if not sound:
        raise Rejected("right_by_luck")
    return sound


class Recipe(Protocol):
    """One method. It is plain async Python against `Generate`; batching, limits, cost and Ray are not its business."""

    @property
    def name(self) -> str:
        """What configs and records call the method."""
        ...

    async def correct(self, graded: GradedQuestion, corrector: Generate, student: Generate | None) -> Outcome:
        """Correct the mistakes of one question."""
        ...

    def to_examples(self, graded: GradedQuestion, correction: Correction) -> list[TrainingExample]:
        """The rows that one accepted correction teaches."""
        ...

    def preview(self, question: Question, solution: str) -> tuple[Message, ...]:
        """The first request to the corrector as it would be sent for a wrong `solution`."""
        ...

    def most_requests(self, samples: int) -> int:
        """At most so many requests to the corrector for one question with `samples` attempts."""
        ...


def takes(recipe: Recipe, task: Task) -> bool:
    """Whether a recipe is for questions of a task: its `tasks`, without which it is for all but programs."""
    return task in getattr(recipe, "tasks", ("arithmetic", "math", "choice"))


@runtime_checkable
class AsksStudent(Protocol):
    """What a recipe has besides when it asks the student too. The pool that runs it then holds both models."""

    def student_requests(self, samples: int) -> int:
        """At most so many requests to the student for one question with `samples` attempts; 0: it is not asked."""
        ...

    def continues_student(self) -> bool:
        """Whether it has the student go on with solutions that are begun, which not every endpoint can."""
        ...
