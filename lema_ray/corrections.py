"""Run one recipe on one graded question. Called for every row by the corrector pool of `on_ray.collect`."""

from __future__ import annotations

from dataclasses import replace

from lema_ray.engines import Generate
from lema_ray.grading.votes import contradicting_majority
from lema_ray.recipes import Recipe
from lema_ray.records import Dropped, GradedQuestion


async def correct_question(
    graded: GradedQuestion,
    corrector: Generate,
    *,
    recipe: Recipe,
    student: Generate | None = None,
    correct_doubtful: bool = False,
) -> GradedQuestion:
    """The question with the recipe's corrections and drops; one without mistakes passes through untouched.

    Nor is anything asked about a question whose reference most attempts contradict, unless `correct_doubtful` or
    somebody reviewed the reference: the mistake may be the reference's.
    """
    if not graded.wrong:
        return graded
    majority = None if correct_doubtful or graded.question.reviewed else contradicting_majority(graded)
    if majority is not None:
        answer, votes, attempts = majority
        detail = (
            f"{votes} of {attempts} attempts say {answer[:80]!r}, the reference is {graded.question.reference[:80]!r}"
        )
        drop = Dropped("corrections", graded.question.id, "doubtful_reference", detail)
        return replace(graded, drops=(*graded.drops, drop))
    outcome = await recipe.correct(graded, corrector, student)
    return replace(graded, corrections=graded.corrections + outcome.corrections, drops=graded.drops + outcome.drops)
