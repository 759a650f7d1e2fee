"""One flawed solution through a critic: asked, read, refined by, and kept as a `Correction` when that helps.

The flow that the recipes `critique` and `score` share; each brings its request and its rules (`accept`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from lema_ray.config import RecipeConfig
from lema_ray.engines import Generate
from lema_ray.recipes.asking import Spent, ask, needed_student
from lema_ray.recipes.critic_options import Model
from lema_ray.recipes.recipe import Rejected
from lema_ray.recipes.refinement import Refined, Refiner
from lema_ray.records import (
    Attempt,
    Completion,
    Correction,
    Dropped,
    Judgement,
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
Made = list[Correction | Dropped | Judgement]


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
        made: Made = []
        for number in range(self.config.tries):
            sampling = self.config.sampling.for_try(number, "critique", attempt.id)
            read = partial(self._read, question, split_steps(attempt.text))
            found = await ask(self.model, prompt, sampling, "corrections", attempt.id, read)
            made += [found] if isinstance(found, Dropped) else await self._refined(question, attempt, *found, by)
            if isinstance(made[-1], Correction):
                break
        return made

    async def _read(self, question: Question, steps: Sequence[str], reply: Completion) -> Critique:
        """The critique in a reply about a solution that is wrong. Raises `Rejected`."""
        try:
            critique = read_critique(reply.text, len(steps))
        except UnusableCritique as unusable:
            raise Rejected(unusable.reason) from None
        if critique.wrong_step is None:
            raise Rejected("called_right")
        if not critique.why:
            raise Rejected("no_explanation")
        return self.accept(critique, question, steps)

    async def _refined(
        self, question: Question, attempt: Attempt, critique: Critique, reply: Completion, by: str
    ) -> Made:
        refined = await self.refiner.refine(question, attempt, str(critique))
        more, judged = self.refiner.account(attempt.id, refined)
        spent, before = Spent.of(reply) + more, Made([*refined.refused, *judged])
        if refined.right and refined.share >= self.least:
            return [*before, spent.on(self._correction(attempt, critique, reply, refined, by))]
        detail = f"{refined}, by:\n{critique}"
        return [*before, spent.on(Dropped("corrections", attempt.id, "unhelpful", detail))]

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
            requests=0,
        )


def pick(which: Model, corrector: Generate, student: Generate | None, recipe: str) -> Generate:
    """The model that an option names. Raises `ConfigError` where there is no student."""
    return needed_student(student, recipe) if which == "student" else corrector
