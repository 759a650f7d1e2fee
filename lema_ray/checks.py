"""The named checks that a correction must pass; each is a predicate whose name is the reason code of a drop.

Recipes call them and record which passed. Stricter than the papers, which look at the final answer only: see
`docs/architecture.md`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence

from lema_ray.grading import grade
from lema_ray.records import Grade, Question


async def grade_revision(revision: str, question: Question) -> Grade:
    """The grade of a corrected solution, off the event loop: symbolic comparisons take up to seconds."""
    return await asyncio.to_thread(grade, revision, question.reference, task=question.task, choices=question.choices)


def step_exists(wrong_step: int, steps: Sequence[str]) -> bool:
    """The cited step (0-based) is one of the attempt's steps."""
    return 0 <= wrong_step < len(steps)


def differs(revision: str, attempt: str) -> bool:
    """The revision says something else than the attempt."""
    return _plain(revision) != _plain(attempt)


def keeps_prefix(kept: Sequence[str], steps: Sequence[str]) -> bool:
    """Steps that the corrector repeated before the wrong one are the attempt's own."""
    return [_plain(step) for step in kept] == [_plain(step) for step in steps[: len(kept)]]


def _plain(text: str) -> str:
    """Text without step labels, white space and case, for comparison."""
    unlabelled = re.sub(r"(?im)^\s*step\s+\d+\s*[:.)]\s*", "", text)
    return re.sub(r"\s+", "", unlabelled).casefold()
