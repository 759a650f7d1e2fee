"""Run one recipe on one graded question. Called for every row by the corrector pool of `on_ray.collect`."""

from __future__ import annotations

from dataclasses import replace

from lema_ray.engines import Generate
from lema_ray.recipes import Recipe
from lema_ray.records import GradedQuestion


async def correct_question(
    graded: GradedQuestion, corrector: Generate, *, recipe: Recipe, student: Generate | None = None
) -> GradedQuestion:
    """The question with the recipe's corrections and drops; a recipe decides itself what to do without mistakes."""
    outcome = await recipe.correct(graded, corrector, student)
    return replace(
        graded,
        attempts=graded.attempts + outcome.attempts,
        analyses=graded.analyses + outcome.analyses,
        corrections=graded.corrections + outcome.corrections,
        drops=graded.drops + outcome.drops,
    )
