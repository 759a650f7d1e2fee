"""Is a critique of any use: a model refines the solution by it, some times over, and the answers are graded.

AutoMathCritique (arXiv 2411.16579) keeps a critique when enough of K refinements come out right, SCORE (arXiv
2404.17140) when one greedy refinement does. Used by the recipes `critique` and `score`.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import Literal

from lema_ray import checks
from lema_ray.attempts import solve_prompt
from lema_ray.config import SamplingConfig
from lema_ray.engines import Generate, RequestRefused
from lema_ray.recipes.asking import Spent
from lema_ray.records import Attempt, Completion, Dropped, Judgement, Message, Question
from lema_ray.self_correction.critiques import revise_prompt

STAGE = "refinement"


@dataclass(frozen=True, slots=True)
class Refined:
    """What came of the refinements by one critique: replies, the right ones among them, and refused requests."""

    replies: tuple[Completion, ...]
    right: tuple[Completion, ...]
    refused: tuple[Dropped, ...] = ()

    @property
    def share(self) -> float:
        """The share of replies that are right; 0 without any."""
        return len(self.right) / len(self.replies) if self.replies else 0.0

    def __str__(self) -> str:
        return f"{len(self.right)} of {len(self.replies)} refinements are right"


@dataclass(frozen=True, slots=True)
class Refiner:
    """A model that refines `count` times. More than once it samples, as a greedy reply would only repeat itself."""

    model: Generate
    sampling: SamplingConfig
    count: int = 1
    by: Literal["corrector", "student"] = "corrector"

    def account(self, attempt_id: str, refined: Refined) -> tuple[Spent, list[Judgement]]:
        """What the refinements add to a critique's cost; a student's are a judgement of its own instead."""
        spent = Spent.of(*refined.replies)
        if self.by == "corrector" or not refined.replies:
            return spent, []
        tokens = (spent.prompt_tokens, spent.completion_tokens, spent.cost)
        model = refined.replies[0].model
        return Spent(), [Judgement(attempt_id, "wrong", str(refined), model, spent.requests, *tokens, by="student")]

    async def refine(self, question: Question, attempt: Attempt, critique: str) -> Refined:
        """Ask for the refinements and grade them; a cut-off one is not right."""
        prompt = revise_prompt(solve_prompt(question), attempt.text, critique)
        made = await asyncio.gather(*(self._ask(prompt, attempt.id, critique, k) for k in range(self.count)))
        replies = tuple(one for one in made if isinstance(one, Completion))
        grades = await asyncio.gather(*(checks.grade_revision(reply.text, question) for reply in replies))
        graded = zip(replies, grades, strict=True)
        right = tuple(r for r, grade in graded if grade.verdict == "right" and r.finish_reason != "length")
        return Refined(replies, right, tuple(one for one in made if isinstance(one, Dropped)))

    async def _ask(
        self, prompt: tuple[Message, ...], attempt_id: str, critique: str, number: int
    ) -> Completion | Dropped:
        sampling = self.sampling.seeded(STAGE, attempt_id, critique, str(number))
        if self.count > 1:
            sampling = replace(sampling, temperature=max(0.7, sampling.temperature))
        try:
            return await self.model(prompt, sampling)
        except RequestRefused as refusal:
            return refusal.dropped(STAGE, attempt_id)
