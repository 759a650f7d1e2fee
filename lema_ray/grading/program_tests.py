"""Tests of programs as data: an expression to evaluate and the value that it should have.

The form in references, files and models' replies is one `assert` a line: `assert f(3) == [1, 2]`. The right side is
read here and never told to the program, which can therefore pass only by computing it. What is no comparison with a
plain value (`assert f(3)`, `assert isclose(f(3), 0.1)`) is a test for True, which a program may guess: see `guessable`.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from lema_ray.sandbox import Result

MOST_TESTS = 200
LONGEST_TEST = 4_000
_UNREADABLE = (ValueError, TypeError, SyntaxError, RecursionError, MemoryError)


@dataclass(frozen=True, slots=True)
class ProgramTest:
    """One test: `call` is evaluated after the program, `expected` is Python text of a plain value."""

    call: str
    expected: str
    equal: bool = True
    guessable: bool = False

    def __str__(self) -> str:
        if self.guessable:
            condition = self.call.removeprefix("bool(").removesuffix(")")
            return f"assert {condition}" if self.expected == "True" else f"assert not ({condition})"
        return f"assert {self.call} {'==' if self.equal else '!='} {self.expected}"

    def holds(self, result: Result) -> bool:
        """Whether a result is what is expected. An error, no time left or no plain value is not."""
        if result.kind != "value":
            return False
        try:
            same = bool(ast.literal_eval(result.text) == ast.literal_eval(self.expected))
        except _UNREADABLE:
            return False
        return same == self.equal


def read_tests(text: str, called: str | None = None) -> list[ProgramTest]:
    """The distinct tests in Python text, in order: its asserts, also inside functions. `[]` where nothing parses.

    `called` is the function that HumanEval's `candidate` stands for. Text that is no Python is read line by line.
    """
    tests = dict.fromkeys(test for node in _asserts(text) if (test := _test(node, called)))
    return list(tests)[:MOST_TESTS]


def reference_tests(reference: str) -> list[ProgramTest]:
    """The tests of a question's reference, a JSON list of assert lines. Empty where it is none."""
    try:
        lines = json.loads(reference)
    except ValueError:
        return []
    if not isinstance(lines, list):
        return []
    return [test for line in lines if isinstance(line, str) for test in read_tests(line)]


def write_reference(tests: Iterable[ProgramTest]) -> str:
    """Tests as a question's reference."""
    return json.dumps([str(test) for test in tests], ensure_ascii=False)


def _asserts(text: str) -> Iterator[ast.Assert]:
    try:
        tree: list[ast.AST] = [ast.parse(text)]
    except _UNREADABLE:
        tree = [node for line in text.splitlines()[:1000] if (node := _parsed(line)) is not None]
    for top in tree:
        yield from (node for node in ast.walk(top) if isinstance(node, ast.Assert))


def _parsed(line: str) -> ast.AST | None:
    start = line.find("assert ")
    try:
        return ast.parse(line[start:].strip("`")) if start >= 0 and len(line) <= LONGEST_TEST else None
    except _UNREADABLE:
        return None


class _Renamed(ast.NodeTransformer):
    def __init__(self, called: str) -> None:
        self.called = called

    def visit_Name(self, node: ast.Name) -> ast.Name:
        return ast.Name(self.called, node.ctx) if node.id == "candidate" else node


def _test(node: ast.Assert, called: str | None) -> ProgramTest | None:
    condition = _Renamed(called).visit(node.test) if called else node.test
    if not any(isinstance(part, ast.Call) for part in ast.walk(condition)):
        return None
    try:
        test = _comparison(condition) or _truth(condition)
    except _UNREADABLE:
        return None
    return test if len(test.call) + len(test.expected) <= LONGEST_TEST else None


def _comparison(condition: ast.expr) -> ProgramTest | None:
    if not (isinstance(condition, ast.Compare) and len(condition.ops) == 1):
        return None
    (operator,), sides = condition.ops, (condition.left, condition.comparators[0])
    if not isinstance(operator, ast.Eq | ast.NotEq | ast.Is | ast.IsNot):
        return None
    for call, other in (sides, sides[::-1]):
        value = _plain_value(other)
        if value is not None and _plain_value(call) is None:
            return ProgramTest(ast.unparse(call), value, isinstance(operator, ast.Eq | ast.Is))
    return None


def _plain_value(node: ast.expr) -> str | None:
    try:
        value: Any = ast.literal_eval(node)
    except _UNREADABLE:
        return None
    return repr(value)


def _truth(condition: ast.expr) -> ProgramTest:
    negated = isinstance(condition, ast.UnaryOp) and isinstance(condition.op, ast.Not)
    inner = condition.operand if isinstance(condition, ast.UnaryOp) and negated else condition
    return ProgramTest(f"bool({ast.unparse(inner)})", str(not negated), guessable=True)
