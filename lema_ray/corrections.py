"""Run the judge, if there is one, and the recipes on one graded question.

Called for every row by the corrector pool of `on_ray.collect`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from lema_ray.config import JudgeConfig
from lema_ray.engines import Generate, RequestRefused
from lema_ray.grading.votes import contradicting_majority
from lema_ray.judge import judge_question
from lema_ray.recipes import Recipe, takes
from lema_ray.records import Completion, Dropped, GradedQuestion, Message, RecipeSpend, Sampling


async def correct_question(
    graded: GradedQuestion,
    corrector: Generate,
    *,
    recipes: Sequence[Recipe],
    student: Generate | None = None,
    correct_doubtful: bool = False,
    judge: JudgeConfig | None = None,
) -> GradedQuestion:
    """The question with every recipe's corrections and drops; a recipe decides itself what to do without mistakes.

    Nothing is asked about a question whose reference most attempts contradict, unless `correct_doubtful` or somebody
    reviewed the reference: the mistake may be the reference's. With `judge`, unsure grades are judged first.
    """
    doubt = None if correct_doubtful else _doubtful_reference(graded)
    if doubt is None and judge is not None:
        graded = await judge_question(graded, corrector, judge)
        # What was unsure may now be the vote that contradicts the reference.
        doubt = None if correct_doubtful else _doubtful_reference(graded)
    if doubt is not None:
        return replace(graded, drops=(*graded.drops, doubt))
    task = graded.question.task
    fitting = [recipe for recipe in recipes if takes(recipe, task)]
    if len(fitting) < len(recipes):
        others = ", ".join(recipe.name for recipe in recipes if recipe not in fitting)
        drop = Dropped("corrections", graded.question.id, "other_task", f"recipe {others} is not for task {task}")
        graded = replace(graded, drops=(*graded.drops, drop))
    asked = [_counted(recipe.name, corrector, student) for recipe in fitting]
    outcomes = await asyncio.gather(
        *(recipe.correct(graded, *models) for recipe, models in zip(fitting, asked, strict=True))
    )
    return replace(
        graded,
        attempts=graded.attempts + tuple(a for outcome in outcomes for a in outcome.attempts),
        analyses=graded.analyses + tuple(a for outcome in outcomes for a in outcome.analyses),
        corrections=graded.corrections + tuple(c for outcome in outcomes for c in outcome.corrections),
        judgements=graded.judgements + tuple(j for outcome in outcomes for j in outcome.judgements),
        drops=graded.drops + tuple(d for outcome in outcomes for d in outcome.drops),
        spent=graded.spent + tuple(m.spent for models in asked for m in models if m is not None and m.spent.requests),
    )


def _counted(recipe: str, corrector: Generate, student: Generate | None) -> tuple[_Counted, _Counted | None]:
    beside = None if student is None else _Counted(recipe, "student", student)
    return _Counted(recipe, "corrector", corrector), beside


class _Counted:
    """A model as one recipe asks it, with what that came to."""

    def __init__(self, recipe: str, by: Literal["corrector", "student"], model: Generate) -> None:
        self._model, self.spent = model, RecipeSpend(recipe, by)

    async def __call__(self, messages: Sequence[Message], sampling: Sampling) -> Completion:
        try:
            reply = await self._model(messages, sampling)
        except RequestRefused as refusal:
            self._add(refusal.completion)
            raise
        self._add(reply)
        return reply

    def _add(self, paid: Completion | None) -> None:
        tokens = (paid.prompt_tokens, paid.completion_tokens, paid.cost) if paid else (0, 0, 0.0)
        self.spent = replace(
            self.spent,
            requests=self.spent.requests + 1,
            prompt_tokens=self.spent.prompt_tokens + tokens[0],
            completion_tokens=self.spent.completion_tokens + tokens[1],
            cost=self.spent.cost + tokens[2],
        )


def _doubtful_reference(graded: GradedQuestion) -> Dropped | None:
    majority = contradicting_majority(graded)
    if majority is None:
        return None
    answer, votes, attempts = majority
    detail = f"{votes} of {attempts} attempts say {answer[:80]!r}, the reference is {graded.question.reference[:80]!r}"
    return Dropped("corrections", graded.question.id, "doubtful_reference", detail)
