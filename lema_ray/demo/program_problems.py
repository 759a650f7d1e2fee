"""Programming problems made by rule, each with a reference program and inputs to test it on.

`questions` takes them as the source `program_problems`; the rule-based programmer reads them back from their text. The
same seed gives the same questions everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

from lema_ray.demo.program_kinds import KINDS, Kind
from lema_ray.grading.program_tests import ProgramTest, write_reference
from lema_ray.records import Question, content_id

HELD_OUT_TESTS = 8


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem: its kind with the numbers filled in."""

    kind: Kind
    numbers: tuple[tuple[str, int], ...]

    @property
    def text(self) -> str:
        """What is asked for."""
        return self.kind.text.format(**dict(self.numbers))

    @property
    def program(self) -> str:
        """The reference program."""
        return self.kind.program.format(**dict(self.numbers))

    @property
    def taught(self) -> bool:
        """Whether it belongs to the half that `demo/programs` learns from, by its text alone."""
        return content_id("taught", self.text) < "8"

    def call(self, rng: Random) -> str:
        """A call of it with drawn arguments, many of them on a border."""
        return f"{self.kind.name}({', '.join(map(repr, self.kind.arguments(rng, dict(self.numbers))))})"


def generate(count: int, seed: int, *, taught: bool | None = None) -> Iterator[Question]:
    """`count` different problems as questions, those that `demo/programs` was taught, or was not, or both.

    Raises `ValueError` when there are not so many.
    """
    return map(question_of, problems(count, seed, taught=taught))


def problems(count: int, seed: int, *, taught: bool | None = None) -> Iterator[Problem]:
    """As `generate`, before questions are made of them."""
    rng, seen = Random(f"program problems {seed}"), set[str]()
    for number in range(count * 40):
        if len(seen) == count:
            return
        kind = KINDS[number % len(KINDS)]
        problem = Problem(kind, tuple((key, rng.randint(*bounds)) for key, bounds in kind.numbers.items()))
        if problem.text not in seen and taught in (None, problem.taught):
            seen.add(problem.text)
            yield problem
    if len(seen) < count:
        raise ValueError(f"program_problems: found only {len(seen)} different problems of {count}")


def read_problem(text: str) -> Problem | None:
    """The problem that a text begins with, None when it is none of these."""
    for kind in KINDS:
        pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>\\d+)", re.escape(kind.text))
        if match := re.match(pattern, text):
            return Problem(kind, tuple((key, int(match[key])) for key in kind.numbers))
    return None


def question_of(problem: Problem) -> Question:
    """It as a question, with tests that are held out."""
    run = function_of(problem)
    calls = dict.fromkeys(problem.call(Random(f"{problem.text} {n}")) for n in range(4 * HELD_OUT_TESTS))
    tests = [ProgramTest(call, repr(run(call))) for call in list(calls)[:HELD_OUT_TESTS]]
    solution = f"```python\n{problem.program}\n```"
    return Question(
        id=content_id(problem.text),
        text=problem.text,
        reference=write_reference(tests),
        source="program_problems",
        task="code",
        solution=solution,
        type=problem.kind.name,
        reviewed=True,
    )


def function_of(problem: Problem) -> Callable[[str], Any]:
    """What evaluates a call of the reference program."""
    names: dict[str, Any] = {}
    exec(problem.program, names)  # our own text with numbers in it
    return lambda call: eval(call, dict(names))
