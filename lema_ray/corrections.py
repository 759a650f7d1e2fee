"""Run the recipes on one graded question. Called for every row by the corrector pool of `on_ray.collect`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from lema_ray.engines import Generate
from lema_ray.recipes import Recipe
from lema_ray.records import GradedQuestion


async def correct_question(
    graded: GradedQuestion, corrector: Generate, *, recipes: Sequence[Recipe], student: Generate | None = None
) -> GradedQuestion:
    """The question with every recipe's corrections and drops; a recipe decides itself what to do without mistakes."""
    outcomes = await asyncio.gather(*(recipe.correct(graded, corrector, student) for recipe in recipes))
    return replace(
        graded,
        attempts=graded.attempts + tuple(a for outcome in outcomes for a in outcome.attempts),
        analyses=graded.analyses + tuple(a for outcome in outcomes for a in outcome.analyses),
        corrections=graded.corrections + tuple(c for outcome in outcomes for c in outcome.corrections),
        drops=graded.drops + tuple(d for outcome in outcomes for d in outcome.drops),
    )
