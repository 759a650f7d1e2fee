"""How often a solution that is begun ends right when the student goes on with it. Used by `s3c` and `rise`.

A step is judged by its consequences (as in process supervision by Monte-Carlo estimates): nobody has to read it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from pydantic import Field

from lema_ray import checks
from lema_ray.attempts import solve_prompt
from lema_ray.config import SamplingConfig, Section
from lema_ray.engines import Generate, RequestRefused
from lema_ray.recipes.asking import Spent
from lema_ray.recipes.recipe import Rejected, own_right
from lema_ray.records import Completion, Dropped, GradedQuestion, Judgement, Message, Question
from lema_ray.steps import split_steps

STAGE = "rollouts"


class RolloutOptions(Section):
    """How steps are judged; the papers give no numbers, so these are ours."""

    rollouts: int = Field(8, ge=1, description="times that the student goes on from a step to judge it")
    wrong_up_to: float = Field(0.3, ge=0, lt=1, description="a step is wrong when at most this share ends right")
    rollout_sampling: SamplingConfig = SamplingConfig(temperature=0.7, max_tokens=512)


@dataclass(frozen=True, slots=True)
class Rolled:
    """What became of the rollouts from one step: those that ended right, of those that were answered at all."""

    right: int = 0
    answered: int = 0
    model: str = ""
    spent: Spent = field(default_factory=Spent)
    refused: tuple[Dropped, ...] = ()

    @property
    def share(self) -> float:
        """The share that ended right, 0 without an answer."""
        return self.right / max(self.answered, 1)

    def shows_wrong(self, options: RolloutOptions) -> bool:
        """Whether so few ended right that the step must be wrong."""
        return self.answered > 0 and self.share <= options.wrong_up_to

    def judgement(self, attempt_id: str, more: Spent) -> Judgement:
        """That an attempt is wrong, with what these rollouts (and `more`) cost."""
        spent = self.spent + more
        tokens = (spent.prompt_tokens, spent.completion_tokens, spent.cost)
        return Judgement(attempt_id, "wrong", str(self), self.model, spent.requests, *tokens, by="student")

    def __str__(self) -> str:
        return f"{self.right} of {self.answered} rollouts end right"


@dataclass(frozen=True)
class Rollouts:
    """Rollouts of one question's solutions by one student."""

    student: Generate
    question: Question
    options: RolloutOptions

    async def roll(self, begun: str, row: str) -> Rolled:
        """Go on `options.rollouts` times from `begun`, the beginning of a solution; `row` names it in drops."""
        made = await asyncio.gather(*(self._one(begun, row, number) for number in range(self.options.rollouts)))
        replies = [one for one in made if isinstance(one, Completion)]
        right = await asyncio.gather(*(self._ends_right(begun, reply) for reply in replies))
        model = replies[0].model if replies else ""
        return Rolled(
            sum(right), len(replies), model, Spent.of(*replies), tuple(d for d in made if isinstance(d, Dropped))
        )

    async def _one(self, begun: str, row: str, number: int) -> Completion | Dropped:
        sampling = self.options.rollout_sampling.seeded(STAGE, row, begun, str(number))
        try:
            return await self.student(going_on(self.question, begun), sampling)
        except RequestRefused as refusal:
            return refusal.dropped(STAGE, row)

    async def _ends_right(self, begun: str, reply: Completion) -> bool:
        # What was cut off may hold the right number on its way to another one.
        if reply.finish_reason == "length":
            return False
        return (await checks.grade_revision(begun + reply.text, self.question)).verdict == "right"


def going_on(question: Question, begun: str) -> tuple[Message, ...]:
    """The messages that have a solution gone on with: a final assistant message is continued."""
    prompt = solve_prompt(question)
    return (*prompt, Message("assistant", begun)) if begun.strip() else prompt


def branch_points(steps: Sequence[str]) -> list[int]:
    """The steps (0-based) of a solution at which another one could be taken: all that do more than state the answer."""
    return [at for at, step in enumerate(steps) if not checks.only_answers(step)] if len(steps) > 1 else []


def right_steps(graded: GradedQuestion) -> tuple[str, Sequence[str]]:
    """A right solution in steps, the student's own before the question's, and the id of what it is a solution of.

    Raises `Rejected` when there is neither.
    """
    try:
        first = own_right(graded)[0]
        return first.id, split_steps(first.text)
    except Rejected:
        if not graded.question.solution:
            raise
        return graded.question.id, split_steps(graded.question.solution)
