"""What a recipe is: the protocol that every method file implements, and the outcome it returns."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar, runtime_checkable

from lema_ray.config import ConfigError, RecipeConfig
from lema_ray.engines import RequestRefused
from lema_ray.records import (
    Analysis,
    Attempt,
    Completion,
    Correction,
    Dropped,
    Grade,
    GradedAttempt,
    GradedQuestion,
    Message,
    Origin,
    Question,
    Sampling,
    TrainingExample,
)

if TYPE_CHECKING:
    from lema_ray.engines import Generate

Read = TypeVar("Read")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a recipe made of one question: accepted corrections, and what was dropped with its reason and cost.

    `attempts` are those it added (mistakes made on purpose), `analyses` what it found out about mistakes.
    """

    corrections: tuple[Correction, ...] = ()
    drops: tuple[Dropped, ...] = ()
    attempts: tuple[GradedAttempt, ...] = ()
    analyses: tuple[Analysis, ...] = ()

    @classmethod
    def of(cls, made: Iterable[Iterable[Correction | Dropped]]) -> Outcome:
        """What was made of each mistake, sorted."""
        items = [item for some in made for item in some]
        corrections = (item for item in items if isinstance(item, Correction))
        return cls(tuple(corrections), tuple(item for item in items if isinstance(item, Dropped)))


class Rejected(Exception):
    """A reply that failed a check; `reason` is the code that the funnel counts."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def mistakes(graded: GradedQuestion, config: RecipeConfig) -> list[Attempt]:
    """The question's distinct mistakes in sampling order, as many of them as the config allows."""
    distinct = {(" ".join(a.text.split()) if config.dedupe else a.id): a for a in reversed(graded.wrong)}
    return list(reversed(distinct.values()))[: config.corrections_per_question]


async def ask(
    model: Generate,
    prompt: tuple[Message, ...],
    sampling: Sampling,
    stage: str,
    row: str,
    read: Callable[[Completion], Awaitable[Read]],
) -> tuple[Read, Completion] | Dropped:
    """What `read` makes of the model's reply, and the reply; or why there is nothing, with what that cost.

    A refused request, a reply that was cut off and whatever `read` raises `Rejected` for are drops of row `row`.
    """
    try:
        reply = await model(prompt, sampling)
    except RequestRefused as refusal:
        return refusal.dropped(stage, row)
    try:
        if reply.finish_reason == "length":
            raise Rejected("cut_off")
        return await read(reply), reply
    except Rejected as rejected:
        return Dropped.of(stage, row, rejected.reason, reply)


def made_attempt(
    attempt_id: str, text: str, origin: Origin, grade: Grade, sampling: Sampling, reply: Completion
) -> GradedAttempt:
    """An attempt that a recipe made by one request, which pays for it."""
    attempt = Attempt(
        attempt_id,
        text,
        reply.model,
        origin,
        seed=sampling.seed,
        temperature=sampling.temperature,
        prompt_tokens=reply.prompt_tokens,
        completion_tokens=reply.completion_tokens,
        cost=reply.cost,
    )
    return GradedAttempt(attempt, grade)


def needed_student(student: Generate | None, recipe: str) -> Generate:
    """The student of a recipe that cannot do without. Raises `ConfigError`."""
    if student is None:
        raise ConfigError(f"recipe {recipe} asks the student, and there is no student to ask here")
    return student


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


@runtime_checkable
class AsksStudent(Protocol):
    """What a recipe has besides when it asks the student too. The pool that runs it then holds both models."""

    def student_requests(self, samples: int) -> int:
        """At most so many requests to the student for one question with `samples` attempts; 0: it is not asked."""
        ...

    def continues_student(self) -> bool:
        """Whether it has the student go on with solutions that are begun, which not every endpoint can."""
        ...
