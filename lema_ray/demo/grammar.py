"""The sentences of the demo's word problems, as data that is both written out and read back.

`word_problems` tells stories with these templates; `teacher` compiles the same templates to patterns and reads a
story from nothing but its text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from string import Formatter

SLOTS = {
    "name": "[A-Z][a-z]+",
    "other": "[A-Z][a-z]+",
    "who": "[A-Z][a-z]+",
    "things": "[a-z]+(?: [a-z]+)?",
    "n": r"\d+",
}
OPENINGS = (
    "{name} has {n} {things}.",
    "{name} starts the day with {n} {things}.",
    "At first {name} owns {n} {things}.",
    "In the morning {name} counts {n} {things}.",
)
ENDINGS = (
    "How many {things} does {name} have now?",
    "How many {things} does {name} have in the end?",
    "How many {things} are left with {name} at the end of the day?",
)
DISTRACTIONS = (
    "{other} has {n} {things} too, but keeps them.",
    "{other} is {n} years old.",
    "The shop on the corner closes in {n} minutes.",
    "A bus ticket to town costs {n} cents.",
    "{other} lives {n} steps away.",
    "Last year {other} read {n} books.",
)


@dataclass(frozen=True, slots=True)
class Template:
    """A sentence that changes the number of things, and how a solution refers to it. `fixed`: an unwritten operand."""

    symbol: str
    sentence: str
    phrase: str
    fixed: int | None = None


# A phrase repeats the words before the number, which is how a small model finds the number again in the question.
CHANGES = (
    Template("+", "{who} buys {n} more {things}.", "{who} buys {n} more"),
    Template("+", "{who} gets {n} {things} from {other}.", "{who} gets {n}"),
    Template("+", "{who} finds {n} {things} under the bed.", "{who} finds {n}"),
    Template("+", "The next day {who} collects another {n} {things}.", "{who} collects another {n}"),
    Template("+", "A parcel brings {n} {things}.", "A parcel brings {n}"),
    Template("-", "{who} loses {n} {things}.", "{who} loses {n}"),
    Template("-", "{who} sells {n} {things} at the market.", "{who} sells {n}"),
    Template("-", "{who} gives {n} of the {things} to {other}.", "{who} gives {n}"),
    Template("-", "{other} borrows {n} {things}.", "{other} borrows {n}"),
    Template("-", "Rain ruins {n} of the {things}.", "Rain ruins {n}"),
    Template("*", "After a month there are {n} times as many {things}.", "After a month there are {n} times as many"),
    Template("*", "A wizard makes {n} {things} out of each one.", "A wizard makes {n} of each"),
    Template("*", "Overnight the number of {things} doubles.", "The number doubles", 2),
    Template("*", "By evening the number of {things} has tripled.", "The number has tripled", 3),
    Template("/", "{who} packs all {things} into {n} equal boxes and keeps one.", "{who} packs all into {n}"),
    Template(
        "/", "Only one in every {n} {things} is any good, and {who} keeps those.", "Only one in every {n} is good"
    ),
    Template("/", "{who} gives away half of the {things}.", "{who} gives away half", 2),
)


@dataclass(frozen=True, slots=True)
class Change:
    """One event of a story: its sentence in the question, its phrase in a solution, and what it does to the number."""

    symbol: str
    operand: int
    sentence: str
    phrase: str


@dataclass(frozen=True, slots=True)
class Calculation:
    """One calculation, right or wrong: `left symbol right = result`."""

    left: int
    symbol: str
    right: int
    result: int

    @property
    def true_result(self) -> int | None:
        """What it should come to, None where there is no whole number."""
        if self.symbol == "/":
            return self.left // self.right if self.right and self.left % self.right == 0 else None
        return {"+": self.left + self.right, "-": self.left - self.right, "*": self.left * self.right}[self.symbol]

    def __str__(self) -> str:
        return f"{self.left} {self.symbol} {self.right} = {self.result}"


@dataclass(frozen=True, slots=True)
class Story:
    """The structured form of a word problem: a start, changes in order, and sentences that do not matter."""

    name: str
    things: str
    start: int
    changes: tuple[Change, ...]
    distractions: tuple[str, ...] = ()

    @property
    def calculations(self) -> tuple[Calculation, ...]:
        """The right calculation of every change, in order."""
        made, value = [], self.start
        for change in self.changes:
            result = Calculation(value, change.symbol, change.operand, 0).true_result
            assert result is not None, f"{value} cannot be divided by {change.operand}"
            made.append(Calculation(value, change.symbol, change.operand, result))
            value = result
        return tuple(made)

    @property
    def answer(self) -> int:
        """The number of things in the end."""
        return self.calculations[-1].result if self.changes else self.start

    def step(self, index: int, number: int) -> str:
        """The solution line of one change, as step `number`."""
        return f"Step {number}: {self.changes[index].phrase}, so {self.calculations[index]} {self.things}."

    @property
    def solution(self) -> str:
        """The whole worked solution."""
        steps = [self.step(index, index + 1) for index in range(len(self.changes))]
        return "\n".join([*steps, f"The answer is {self.answer}."])


@cache
def _pattern(template: str) -> re.Pattern[str]:
    parts, named = [], set[str]()
    for literal, slot, _, _ in Formatter().parse(template):
        parts.append(re.escape(literal))
        if slot:
            parts.append(SLOTS[slot] if slot in named else f"(?P<{slot}>{SLOTS[slot]})")
            named.add(slot)
    return re.compile("".join(parts))


def _match(templates: tuple[str, ...], sentence: str) -> re.Match[str] | None:
    return next((m for template in templates if (m := _pattern(template).fullmatch(sentence))), None)


def read_change(sentence: str) -> Change | None:
    """The change that a sentence tells of, None when it is none of the grammar's."""
    for template in CHANGES:
        if match := _pattern(template.sentence).fullmatch(sentence):
            operand = template.fixed or int(match["n"])
            return Change(template.symbol, operand, sentence, template.phrase.format(**match.groupdict()))
    return None


def read_story(text: str) -> Story | None:
    """The story that a question tells, None when any sentence is not the grammar's or it does not come out even."""
    first, *middle = re.split(r"(?<=[.?]) +", text.strip())
    opening = _match(OPENINGS, first)
    if not opening or not middle or not _match(ENDINGS, middle.pop()):
        return None
    distractions = tuple(s for s in middle if _match(DISTRACTIONS, s))
    changes = [read_change(s) for s in middle if s not in distractions]
    if not changes or not all(changes):
        return None
    story = Story(opening["name"], opening["things"], int(opening["n"]), tuple(filter(None, changes)), distractions)
    return story if _comes_out_even(story) else None


def _comes_out_even(story: Story) -> bool:
    value: int | None = story.start
    for change in story.changes:
        if value is None:
            return False
        value = Calculation(value, change.symbol, change.operand, 0).true_result
    return value is not None
