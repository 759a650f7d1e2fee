"""Programming problems as published: tests as a list of assert lines or as a function `check(candidate)`.

Called by `fields` for task `code`.
"""

from __future__ import annotations

import ast
from typing import Any

from lema_ray.grading.program_tests import ProgramTest, read_tests, write_reference


def program_question(
    text: str, tests: Any, solution: str | None, called: str | None
) -> tuple[str, str | None, str | None]:
    """The text, the reference and the solution of a problem; the reference is None where no test can be read.

    A text that does not name the function, as in MBPP, says how it is called; a solution that only goes on with the
    text, as in HumanEval, is joined to it.
    """
    lines = tests if isinstance(tests, list | tuple) else [str(tests)]
    read = list(dict.fromkeys(test for line in lines for test in read_tests(str(line), called)))
    if not read:
        return text, None, solution
    name = called or _function(read[0])
    whole = solution if solution is None or f"def {name}" in solution else f"{text.rstrip()}\n{solution}"
    told = text if name is None or name in text else f"{text}\nIt is called like this: {read[0].call}"
    return told, write_reference(read), f"```python\n{whole.strip()}\n```" if whole else None


def _function(test: ProgramTest) -> str | None:
    """The innermost function that a test calls by name, the program's own rather than `set` or `bool` around it."""
    calls = [node for node in ast.walk(ast.parse(test.call)) if isinstance(node, ast.Call)]
    names = [node.func.id for node in calls if isinstance(node.func, ast.Name)]
    return names[-1] if names else None
