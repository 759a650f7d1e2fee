"""From a solution's text to a `Grade`: extract the final answer, compare it with the reference, say how.

`grade` is for one text, `grade_all` for many, `GradingPool` for a stage that holds its processes. Numbers, words, lists
and plain algebra are compared here, exactly; other mathematics is compared by math-verify and by value in a child
process that can be killed. Model text is executed for task `code` alone, in a
sandbox (`programs`). `mode` names a grader as a paper published it (`published`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lema_ray.grading.extract import Extracted, extract_answer
from lema_ray.grading.pool import GradingPool, shared_pool
from lema_ray.grading.published import PUBLISHED
from lema_ray.records import Grade, GradingMode, Question, Task

__all__ = ["PUBLISHED", "Extracted", "GradingPool", "extract_answer", "grade", "grade_all"]


def grade(
    text: str,
    reference: str,
    *,
    task: Task = "arithmetic",
    choices: Sequence[str] | None = None,
    mode: GradingMode = "default",
) -> Grade:
    """The grade of one solution. `choices` are the texts behind A, B, C, ... when the reference is a letter.

    Starts a process only for mathematics that is no plain value, word or choice; that process is kept for the next
    call and killed after 5 s on one comparison, which is then `unsure`.
    """
    question = Question("", "", reference, "", task, choices=tuple(choices) if choices is not None else None)
    return shared_pool().grade_all([(text, question)], mode)[0]


def grade_all(pairs: Iterable[tuple[str, str]], *, mode: GradingMode = "default") -> list[Grade]:
    """One grade per (text, reference), in order; a comparison that hangs or crashes costs that one grade."""
    return shared_pool().grade_all([(text, Question("", "", reference, "")) for text, reference in pairs], mode)
