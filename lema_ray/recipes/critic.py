"""One flawed solution through a critic: asked, read, refined by, and kept as a `Correction` when that helps.

The flow that the recipes `critique` and `score` share; each brings its request and its rules (`accept`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lema_ray.config import ConfigError, RecipeConfig
from lema_ray.engines import Generate, RequestRefused
from lema_ray.recipes.recipe import Rejected
from lema_ray.recipes.refinement import Refined, Refiner, spent
from lema_ray.records import (
    Attempt,
    Completion,
    Correction,
    Dropped,
    Message,
    Question,
    content_id,
)
from lema_ray.self_correction.critiques import (
    Critique,
    UnusableCritique,
    read_critique,
)
from lema_ray.steps import split_steps

CHECKS = ("steps_judged", "no_contradiction", "no_reference", "helps")
Made = list[Correction | Dropped]


@dataclass(frozen=True)
class Critic:
    """A model that criticizes solutions and one that refines by its critiques.

    `accept` turns a critique into the one to keep, or raises `Rejected`; `least` is the share of refinements that have
    to be right.
    """

    recipe: str
    config: RecipeConfig
    model: Generate
    refiner: Refiner
    accept: Callable[[Critique, Question, Sequence[str]], Critique]
    least: float = 0.0

    async def correct(self, question: Question, attempt: Attempt, prompt: tuple[Message, ...], by: str) -> Made:
        """The correction of a flawed solution, and what was dropped on the way to it. `by`: the reference shown."""
        steps = split_steps(attempt.text)
        made: Made = []
        for number in range(self.config.tries):
            seed = int(content_id("critique", attempt.id, str(number)), 16) % 2**31
            sampling = self.config.sampling.model_copy(update={"temperature": 0.7} if number else {})
            try:
                reply = await self.model(prompt, sampling.with_seed(seed))
            except RequestRefused as refusal:
                made.append(refusal.dropped("corrections", attempt.id))
                continue
            made += await self._accepted(question, attempt, steps, reply, by)
            if isinstance(made[-1], Correction):
                break
        return made

    async def _accepted(
        self, question: Question, attempt: Attempt, steps: Sequence[str], reply: Completion, by: str
    ) -> Made:
        try:
            critique = self.accept(read_reply(reply, len(steps)), question, steps)
        except Rejected as rejected:
            return [Dropped.of("corrections", attempt.id, rejected.reason, reply)]
        refined = await self.refiner.refine(question, attempt, str(critique))
        if refined.right and refined.share >= self.least:
            return [*refined.refused, self._correction(attempt, critique, reply, refined, by)]
        detail = f"{len(refined.right)} of {len(refined.replies)} refinements are right, by:\n{critique}"
        paid = spent((reply, *refined.replies))
        return [*refined.refused, Dropped("corrections", attempt.id, "unhelpful", detail, **paid)]

    def _correction(
        self, attempt: Attempt, critique: Critique, reply: Completion, refined: Refined, by: str
    ) -> Correction:
        return Correction(
            id=content_id(self.recipe, attempt.id, reply.text),
            recipe=self.recipe,
            attempt_id=attempt.id,
            explanation=critique.why,
            revision=refined.right[0].text.strip(),
            wrong_step=critique.wrong_step,
            reference=by,
            fields={"critique": str(critique), "helped": f"{len(refined.right)}/{len(refined.replies)}"},
            checks=CHECKS,
            model=reply.model,
            **spent((reply, *refined.replies)),
        )


def read_reply(reply: Completion, steps: int) -> Critique:
    """The critique in a reply about a solution that is wrong. Raises `Rejected`."""
    if reply.finish_reason == "length":
        raise Rejected("cut_off")
    try:
        critique = read_critique(reply.text, steps)
    except UnusableCritique as unusable:
        raise Rejected(unusable.reason) from None
    if critique.wrong_step is None:
        raise Rejected("called_right")
    if not critique.why:
        raise Rejected("no_explanation")
    return critique


def pick(which: str, corrector: Generate, student: Generate | None, key: str) -> Generate:
    """The model that an option names. Raises `ConfigError` where there is no student."""
    if which == "student":
        if student is None:
            raise ConfigError(f"recipe.options.{key}: this flow gives recipes no student; take corrector")
        return student
    return corrector
