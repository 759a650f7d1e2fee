"""From a solution's text to a `Grade`: extract the final answer, compare it with the reference, say how.

`grade` is for one text, `GradingPool` for many. Numbers, words and choices are compared here, exactly;
other mathematics is compared by math-verify in a child process that can be killed. Model text is never executed.
"""

from __future__ import annotations

from collections.abc import Sequence

from lema_ray.grading.extract import Extracted, extract_answer
from lema_ray.grading.pool import GradingPool, shared_pool
from lema_ray.records import Grade, Question, Task

__all__ = ["Extracted", "GradingPool", "extract_answer", "grade"]


def grade(text: str, reference: str, *, task: Task = "arithmetic", choices: Sequence[str] | None = None) -> Grade:
    """The grade of one solution. `choices` are the texts behind A, B, C, ... when the reference is a letter.

    Starts a process only for mathematics that is no plain number, word or choice; that process is kept for the next
    call and killed after 5 s on one comparison, which is then `unsure`.
    """
    question = Question("", "", reference, "", task, choices=tuple(choices) if choices is not None else None)
    return shared_pool().grade_all([(text, question)])[0]
