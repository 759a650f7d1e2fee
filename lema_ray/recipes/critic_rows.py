"""Training rows about critiques, and which right solutions of a question are shown beside a flawed one.

Used by the recipes `critique` and `score`. A critic that only ever sees wrong solutions learns to call all of them
wrong, so right ones are among the rows: at the model's own rate (SCORE, arXiv 2404.17140) or at one that is given.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from lema_ray.recipes.recipe import calculates_rightly
from lema_ray.recipes.rows import row_of
from lema_ray.records import (
    Attempt,
    Correction,
    GradedQuestion,
    Message,
    Span,
    TrainingExample,
    content_id,
)
from lema_ray.steps import split_steps


def row(
    graded: GradedQuestion, correction: Correction, attempt: Attempt, prompt: tuple[Message, ...], target: str
) -> TrainingExample:
    """One row of a correction, about its flawed solution or about a right one."""
    made = row_of(graded, correction, (Span(target),), (attempt.id, prompt[-1].content), prompt)
    return replace(made, attempt_id=attempt.id)


def right_ones(graded: GradedQuestion, correction: Correction, rate: float | None) -> Iterator[Attempt]:
    """Right attempts for the rows of one correction, without those that are right by luck; no two corrections of a
    question get the same.

    `rate` is how many there are for each correction; None takes the question's own rate of right to wrong attempts.
    """
    mine = [c.id for c in graded.corrections if c.recipe == correction.recipe]
    # Verdicts that call a false calculation right would teach the critic to pass it over.
    sound = [a for a in graded.right if split_steps(a.text) and calculates_rightly(a.text)]
    texts = {" ".join(a.text.split()): a for a in reversed(sound)}
    right: Sequence[Attempt] = list(reversed(texts.values()))
    if rate is None:
        rate = len(graded.right) / max(len(graded.wrong), 1)
    # Fractions are met over all corrections: each has its own place between 0 and 1 to round at.
    place = int(content_id("rights", correction.id), 16) / 2**64
    wanted = int(rate) + (place < rate % 1)
    yield from right[mine.index(correction.id) :: len(mine)][:wanted]
