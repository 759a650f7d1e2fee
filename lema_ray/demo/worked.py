"""A published worked solution: its lines, the values in it, and what of it is left when some values are known.

`annotated` looks them up; `slips` holds attempts against them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from lema_ray.grading.equations import Equation, equations_in
from lema_ray.grading.numbers import numbers_in
from lema_ray.questions.fields import FieldMap
from lema_ray.questions.files import find_files
from lema_ray.questions.readers import Row, read_rows
from lema_ray.questions.references import tidy_solution
from lema_ray.records import Dropped

ALMOST = Fraction(1, 100)


def among(value: Fraction, values: Iterable[Fraction]) -> bool:
    """Whether a value is one of those, up to a hundredth (`33.33` is a third of 100), or to 2% of a small one."""
    return any(abs(value - other) <= min(ALMOST, abs(other) / 50) for other in values)


@dataclass(frozen=True)
class Worked:
    """A question with its worked solution. `lines` are the solution's, without marks and without the answer's."""

    question: str
    lines: tuple[str, ...]
    equations: tuple[tuple[Equation, ...], ...]
    answer: str

    @cached_property
    def final(self) -> Fraction | None:
        """The answer's number."""
        return next(iter(numbers_in(self.answer)), None)

    @cached_property
    def given(self) -> list[Fraction]:
        """The numbers in the question."""
        return numbers_in(self.question)

    @cached_property
    def values(self) -> set[Fraction]:
        """Every number that the solution has on its way and at its end."""
        written = {number for line in self.lines for number in numbers_in(line)}
        made = {n for line in self.equations for e in line for n in (e.result, *e.numbers)}
        return written | made | ({self.final} if self.final is not None else set())

    @cached_property
    def results(self) -> set[Fraction]:
        """The values that the solution works out, the answer among them; also those it uses without saying whence."""
        made = {e.result for line in self.equations for e in line}
        used = {n for line in self.equations for e in line for n in e.numbers if not among(n, self.given)}
        return made | used | ({self.final} if self.final is not None else set())

    def has(self, made: Iterable[Equation]) -> bool:
        """Whether one of these equations is one of the solution's."""
        own = {(frozenset(e.numbers), e.result) for line in self.equations for e in line}
        return any((frozenset(e.numbers), e.result) in own for e in made)

    def remaining(self, made: Sequence[Equation]) -> int:
        """The first line that is still needed once these equations are made; the number of lines when none is.

        A line is needed when its result is not made and no line, or one that is needed itself, builds on it.
        """
        first, needed = len(self.lines), set[int]()
        for at in range(len(self.lines) - 1, -1, -1):
            if self.equations[at] and any(same_result(self.equations[at][-1], other) for other in made):
                continue
            users = [i for i in range(at + 1, len(self.lines)) if self._builds_on(i, self.equations[at])]
            if not users or needed & set(users):
                needed.add(at)
                # A line without an equation leads to the line after it.
                first = at if self.equations[at] or first == at + 1 else first
        return first

    def _builds_on(self, line: int, equations: Iterable[Equation]) -> bool:
        return any(among(made.result, e.numbers) for made in equations for e in self.equations[line])


def same_result(one: Equation, other: Equation) -> bool:
    """Whether two equations arrive at the same value, and not by chance: they share a number."""
    return among(one.result, [other.result]) and (set(one.numbers) & set(other.numbers) != set() or not other.numbers)


def read_worked(path: str) -> dict[str, Worked]:
    """The worked solutions of a file (or directory, or glob) by question id. Rows without one are left out.

    GSM8K's published form, or rows with question, solution and answer. Raises `QuestionError` when the file is not
    there or malformed.
    """
    fields, found = FieldMap({}), dict[str, Worked]()
    for file in find_files(path):
        for row in read_rows(file):
            question = fields.question(row)
            if not isinstance(question, Dropped) and question.solution and not question.choices:
                found[question.id] = _worked(question.text, _raw_solution(fields, row), question.reference)
    return found


def _raw_solution(fields: FieldMap, row: Row) -> str:
    return fields.find(row, "solution") or fields.required(row, "reference", "no_reference")


def _worked(question: str, solution: str, answer: str) -> Worked:
    raw = [line for line in solution.strip().splitlines() if line.strip() and not line.startswith("####")]
    lines = [tidy_solution(f"{line}\n####") for line in raw]
    return Worked(question, tuple(lines), tuple(tuple(equations_in(line)) for line in raw), answer)
