"""Other steps that a student takes at a point of a right solution, and which of them are wrong. Used by `s3c`.

Candidates are sampled by having the student continue the steps before; rollouts judge them, and the right step too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from pydantic import Field

from lema_ray import checks
from lema_ray.config import SamplingConfig
from lema_ray.engines import Generate
from lema_ray.recipes.asking import ask
from lema_ray.recipes.recipe import Rejected
from lema_ray.recipes.rollouts import Rolled, RolloutOptions, Rollouts, going_on
from lema_ray.records import Completion, Dropped, Question, Sampling
from lema_ray.steps import join_steps, split_steps

STAGE = "branches"
Sampled = tuple[str, Completion]


class S3cOptions(RolloutOptions):
    """What is asked for, and what of it becomes rows (`parts`)."""

    candidates: int = Field(4, ge=1, description="next steps to sample at each point of a right solution")
    solid: float = Field(0.5, ge=0, le=1, description="points whose right step ends right less often are left; ours")
    step_sampling: SamplingConfig = SamplingConfig(temperature=1.0, max_tokens=256)
    unfailed: bool = Field(False, description="branch off questions that the student never fails, too")
    parts: tuple[Literal["reflection", "learn_wrong_step"], ...] = ("reflection",)


@dataclass(frozen=True, slots=True)
class Branch:
    """A point of a right solution with a wrong step to take there, and the rollouts from both steps."""

    steps: Sequence[str]
    at: int
    wrong: str
    reply: Completion
    sampling: Sampling
    rolled: Rolled
    own: Rolled

    @property
    def begun(self) -> str:
        """The solution up to its wrong step."""
        return join_steps(self.steps[: self.at]) + self.wrong

    @property
    def proof(self) -> str:
        """What shows that the step is wrong."""
        return f"{self.rolled}, {self.own} from the right step"


@dataclass(frozen=True)
class Brancher:
    """Branches of one right solution by one student. `row` names it in drops."""

    question: Question
    row: str
    steps: Sequence[str]
    student: Generate
    options: S3cOptions

    async def branch(self, at: int) -> tuple[Branch | None, list[Dropped]]:
        """A wrong step at index `at`, and what was dropped on the way; at most one, the first that was sampled."""
        begun, row = join_steps(self.steps[:at]), f"{self.row}/step{at + 1}"
        rollouts = Rollouts(self.student, self.question, self.options)
        own = await rollouts.roll(begun + self.steps[at], row)
        drops = list(own.refused)
        if own.answered == 0:
            return None, drops
        if own.share < self.options.solid:
            return None, [*drops, own.spent.on(Dropped(STAGE, row, "shaky_step", str(own)))]
        asked = await asyncio.gather(*(self._sample(begun, at, row, k) for k in range(self.options.candidates)))
        fresh, again = _distinct([a for a in asked if not isinstance(a, Dropped)], self.steps[at], row)
        drops += [*(a for a in asked if isinstance(a, Dropped)), *again]
        rolled = await asyncio.gather(*(rollouts.roll(f"{begun}{step}\n", f"{row}/{k}") for k, (step, _) in fresh))
        wrong = [k for k, r in enumerate(rolled) if r.shows_wrong(self.options)]
        drops += _left(row, [one for _, one in fresh], rolled, wrong)
        if not wrong:
            return None, [*drops, own.spent.on(Dropped(STAGE, row, "no_wrong_step", str(own)))]
        number, (step, reply) = fresh[wrong[0]]
        return Branch(self.steps, at, step, reply, self._sampling(row, number), rolled[wrong[0]], own), drops

    def _sampling(self, row: str, number: int) -> Sampling:
        sampling = self.options.step_sampling.seeded(STAGE, row, str(number))
        # Where each step is one line, there is no need to write the next one.
        one_line = all("\n" not in step.strip() for step in self.steps)
        return replace(sampling, stop=(*sampling.stop, "\n")) if one_line else sampling

    async def _sample(self, begun: str, at: int, row: str, number: int) -> tuple[int, Sampled] | Dropped:
        read, sampling = partial(self._next_step, begun, at), self._sampling(row, number)
        asked = await ask(self.student, going_on(self.question, begun), sampling, STAGE, f"{row}/{number}", read)
        return asked if isinstance(asked, Dropped) else (number, asked)

    async def _next_step(self, begun: str, at: int, reply: Completion) -> str:
        """The first step of what the student wrote. Raises `Rejected` when it is none."""
        if not reply.text.strip():
            raise Rejected("empty_step")
        steps = split_steps(begun + reply.text)
        if len(steps) <= at or join_steps(steps[:at]) != begun:
            raise Rejected("cannot_split")
        return steps[at].rstrip()


def _distinct(
    sampled: Sequence[tuple[int, Sampled]], right: str, row: str
) -> tuple[list[tuple[int, Sampled]], list[Dropped]]:
    """Candidates that differ from the right step and from one another, and the others as drops."""
    seen, fresh, drops = {checks.plain(right)}, list[tuple[int, Sampled]](), list[Dropped]()
    for number, (step, reply) in sampled:
        if checks.plain(step) not in seen:
            fresh.append((number, (step, reply)))
        else:
            same = not checks.differs(step, right)
            drops.append(Dropped.of(STAGE, f"{row}/{number}", "same_step" if same else "duplicate", reply))
        seen.add(checks.plain(step))
    return fresh, drops


def _left(row: str, fresh: Sequence[Sampled], rolled: Sequence[Rolled], wrong: Sequence[int]) -> list[Dropped]:
    """The judged candidates that are not taken, with what judging them cost."""
    drops = [drop for one in rolled for drop in one.refused]
    for number, ((_, reply), one) in enumerate(zip(fresh, rolled, strict=True)):
        if number not in wrong[:1]:
            reason = "surplus" if number in wrong else "not_wrong" if one.answered else "not_judged"
            drops.append(one.spent.on(Dropped.of(STAGE, f"{row}/{number}", reason, reply)))
    return drops
