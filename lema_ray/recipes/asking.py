"""What every recipe does with a model: ask, read, drop what cannot be used, keep account. Used by the recipe files."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from pydantic import ValidationError

from lema_ray.config import ConfigError, Section
from lema_ray.engines import Generate, RequestRefused
from lema_ray.recipes.recipe import Rejected
from lema_ray.records import (
    Attempt,
    Completion,
    Correction,
    Dropped,
    Grade,
    GradedAttempt,
    Message,
    Origin,
    Sampling,
)

Read = TypeVar("Read")
Options = TypeVar("Options", bound=Section)
Charged = TypeVar("Charged", Correction, Dropped)


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


@dataclass(frozen=True, slots=True)
class Spent:
    """Requests and what they came to."""

    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0

    @classmethod
    def of(cls, *replies: Completion) -> Spent:
        """What some replies cost."""
        tokens = sum(r.prompt_tokens for r in replies), sum(r.completion_tokens for r in replies)
        return cls(len(replies), *tokens, sum(r.cost for r in replies))

    def __add__(self, other: Spent) -> Spent:
        return Spent(
            self.requests + other.requests,
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.cost + other.cost,
        )

    def on(self, record: Charged) -> Charged:
        """The record with this on top of what it has cost."""
        return replace(
            record,
            requests=record.requests + self.requests,
            prompt_tokens=record.prompt_tokens + self.prompt_tokens,
            completion_tokens=record.completion_tokens + self.completion_tokens,
            cost=record.cost + self.cost,
        )


def read_options(kind: type[Options], options: Mapping[str, Any], recipe: str) -> Options:
    """The checked options of a recipe. Raises `ConfigError` that names each bad one."""
    try:
        return kind.model_validate(dict(options))
    except ValidationError as error:
        known = ", ".join(kind.model_fields)
        problems = (f"recipe.options.{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise ConfigError("\n".join([*problems, f"recipe {recipe} has the options {known}"])) from None
