"""Run the judge, if there is one, and the recipes on one graded question.

Called for every row by the corrector pool of `on_ray.collect`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from lema_ray.config import JudgeConfig
from lema_ray.engines import Generate
from lema_ray.grading.votes import contradicting_majority
from lema_ray.judge import judge_question
from lema_ray.recipes import Recipe, takes
from lema_ray.records import Dropped, GradedQuestion


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
    outcomes = await asyncio.gather(*(recipe.correct(graded, corrector, student) for recipe in fitting))
    return replace(
        graded,
        attempts=graded.attempts + tuple(a for outcome in outcomes for a in outcome.attempts),
        analyses=graded.analyses + tuple(a for outcome in outcomes for a in outcome.analyses),
        corrections=graded.corrections + tuple(c for outcome in outcomes for c in outcome.corrections),
        judgements=graded.judgements + tuple(j for outcome in outcomes for j in outcome.judgements),
        drops=graded.drops + tuple(d for outcome in outcomes for d in outcome.drops),
    )


def _doubtful_reference(graded: GradedQuestion) -> Dropped | None:
    majority = contradicting_majority(graded)
    if majority is None:
        return None
    answer, votes, attempts = majority
    detail = f"{votes} of {attempts} attempts say {answer[:80]!r}, the reference is {graded.question.reference[:80]!r}"
    return Dropped("corrections", graded.question.id, "doubtful_reference", detail)
