"""Grading by execution: a solution's program is run against the tests in the question's reference. Called by `pool`.

`program_of` and `run_tests` are for recipes that run programs against other tests than the reference's.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from lema_ray.config import SandboxConfig
from lema_ray.grading.program_tests import ProgramTest, reference_tests
from lema_ray.records import Grade, Question
from lema_ray.sandbox import Ran, run_program

LONGEST_PROGRAM = 50_000
_BLOCK = re.compile(r"(?ms)^[ \t]*(`{3,}|~{3,})[ \t]*\w*[ \t]*\n(.*?)(?:^[ \t]*\1|\Z)")
_START = re.compile(r"(?m)^(?:def |class |import |from |@|async def )")
Task = TypeVar("Task")
Done = TypeVar("Done")


@dataclass(frozen=True, slots=True)
class Tested:
    """A program's tests one by one: whether each held, and what it came to instead (None where it held).

    `surely` is False where a test that did not hold may be the machine's fault: time ran out without CPU being used.
    """

    held: tuple[bool, ...]
    instead: tuple[str | None, ...]
    reason: str
    surely: bool = True


def program_of(text: str) -> tuple[str, str] | None:
    """The program in a model's text, and where it was: the last fenced block with code, else all of the text where it
    is Python, else from its first line of code on. None where there is none.
    """
    blocks = [block for _, block in _BLOCK.findall(text) if _START.search(block)]
    if blocks:
        return blocks[-1].strip("\n"), "fenced_block"
    start = _START.search(text)
    if parses(text) and not any(_is_a_word(node) for node in ast.parse(text).body):
        return text.strip(), "whole_text"
    if start is None:
        return None
    return text[start.start() :].strip(), "whole_text"


def _is_a_word(node: ast.stmt) -> bool:
    """A line such as "Sure", which Python takes for a name."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Name)


def parses(program: str) -> bool:
    """Whether it is Python that defines something, and not absurdly long."""
    try:
        body = ast.parse(program).body if len(program) <= LONGEST_PROGRAM else []
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return False
    return any(isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef | ast.Assign) for node in body)


def run_tests(program: str, tests: Sequence[ProgramTest], config: SandboxConfig) -> Tested:
    """Every test against one program, in one sandbox. Raises `SandboxUnavailable`."""
    return outcome_of(run_program(program, [test.call for test in tests], config), tests)


def outcome_of(ran: Ran, tests: Sequence[ProgramTest]) -> Tested:
    """What one run of a program says of each test."""
    held = [test.holds(result) for test, result in zip(tests, ran.results, strict=False)]
    said = [result.text if result.kind != "timeout" else "timeout" for result in ran.results]
    missing = len(tests) - len(held)
    if ran.loaded is not None and ran.loaded.kind != "value":
        ending = "timeout" if ran.loaded.kind == "timeout" else ran.loaded.text
    else:
        ending = ran.ending
    instead = [None if ok else text[:200] for ok, text in zip(held, said, strict=True)] + [ending] * missing
    surely = not all(held) or not missing or ran.ending not in ("stalled", "not_started")
    reason = ending if missing and all(held) else _first_kind(ran, held)
    return Tested((*held, *[False] * missing), tuple(instead), reason, surely)


def _first_kind(ran: Ran, held: Sequence[bool]) -> str:
    failed = next((result for result, ok in zip(ran.results, held, strict=True) if not ok), None)
    if failed is None:
        return "tests_passed"
    return {"value": "test_failed", "timeout": "timeout", "error": failed.text}[failed.kind]


def grade_program(item: tuple[str, Question], config: SandboxConfig) -> Grade:
    """The grade of one solution: right when every test of the reference holds, unsure when we cannot know."""
    text, question = item
    tests = reference_tests(question.reference)
    if not tests:
        return Grade("unsure", None, ("no_tests",), "the reference holds no tests that can be read")
    found = program_of(text)
    if found is None:
        return Grade("wrong", None, ("no_program",), "the text holds no program")
    program, where = found
    if not parses(program):
        return Grade("wrong", None, (where, "syntax_error"), "the program is not Python that defines anything")
    done = run_tests(program, tests, config)
    if all(done.held):
        return Grade("right", None, (where, "tests_passed"))
    at = done.held.index(False)
    reason = f"test {at + 1} of {len(tests)}, {tests[at]}: {done.instead[at]}"
    return Grade("wrong" if done.surely else "unsure", None, (where, done.reason), reason)


def grade_programs(items: Sequence[tuple[str, Question]], config: SandboxConfig, at_once: int) -> list[Grade]:
    """One grade per (solution text, question), in order, so many sandboxes at once; equal ones are run once."""
    distinct = list(dict.fromkeys((text, question) for text, question in items))
    grades = dict(zip(distinct, side_by_side(partial(grade_program, config=config), distinct, at_once), strict=True))
    return [grades[text, question] for text, question in items]


def side_by_side(work: Callable[[Task], Done], tasks: Sequence[Task], at_once: int) -> list[Done]:
    """Some work on each of several tasks, so many at once; it waits for processes, so threads do."""
    if len(tasks) < 2 or at_once == 1:
        return [work(task) for task in tasks]
    with ThreadPoolExecutor(min(len(tasks), at_once), "programs") as threads:
        return list(threads.map(work, tasks))
