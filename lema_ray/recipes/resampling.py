"""Mistakes that a student makes when it goes on anew from some place in a right solution of its own.

The second of AutoMathCritique's three ways (arXiv 2411.16579). Used by the recipe `critique`.
"""

from __future__ import annotations

import asyncio
from random import Random

from lema_ray import checks
from lema_ray.config import SamplingConfig
from lema_ray.engines import Generate
from lema_ray.recipes.asking import ask, made_attempt
from lema_ray.recipes.recipe import Rejected
from lema_ray.recipes.rollouts import going_on
from lema_ray.records import Attempt, Completion, Dropped, Grade, GradedAttempt, GradedQuestion, content_id
from lema_ray.steps import join_steps, split_steps

STAGE = "resampling"


async def resample(
    graded: GradedQuestion, count: int, student: Generate, sampling: SamplingConfig
) -> list[GradedAttempt | Dropped]:
    """At most `count` new mistakes, each after another beginning of a right attempt; the rest are drops."""
    if not graded.right:
        return [Dropped(STAGE, graded.question.id, "no_right_attempt")] if count else []
    made = await asyncio.gather(*(_gone_on(graded, k, student, sampling) for k in range(count)))
    known = {" ".join(g.attempt.text.split()) for g in graded.attempts}
    kept: list[GradedAttempt | Dropped] = []
    for one in made:
        words = " ".join(one.attempt.text.split()) if isinstance(one, GradedAttempt) else ""
        if isinstance(one, GradedAttempt) and words in known:
            kept.append(_duplicate(one.attempt))
        else:
            kept.append(one)
        known.add(words)
    return kept


async def _gone_on(
    graded: GradedQuestion, k: int, student: Generate, sampling: SamplingConfig
) -> GradedAttempt | Dropped:
    own_id = f"{graded.question.id}/resampled{k}"
    rng = Random(content_id(STAGE, own_id))
    steps = split_steps(rng.choice(graded.right).text)
    if len(steps) < 2:
        return Dropped(STAGE, own_id, "too_few_steps")
    kept = join_steps(steps[: rng.randrange(1, len(steps))])
    how, prompt = sampling.seeded(STAGE, own_id), going_on(graded.question, kept)

    async def read(reply: Completion) -> Grade:
        grade = await checks.grade_revision(kept + reply.text, graded.question)
        if grade.verdict != "wrong":
            raise Rejected("not_wrong" if grade.verdict == "right" else "unsure_answer")
        return grade

    made = await ask(student, prompt, how, STAGE, own_id, read)
    if isinstance(made, Dropped):
        return made
    grade, reply = made
    return made_attempt(own_id, kept + reply.text, "resampled", grade, how, reply)


def _duplicate(attempt: Attempt) -> Dropped:
    tokens = (attempt.prompt_tokens, attempt.completion_tokens, attempt.cost)
    return Dropped(STAGE, attempt.id, "duplicate", attempt.text, 1, *tokens)
