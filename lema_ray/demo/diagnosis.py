"""Where a worked solution first goes wrong, found by recalculating the story step by step.

`teacher` calls `diagnose` and words what it finds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from lema_ray.demo.grammar import Calculation, Story

Kind = Literal["arithmetic", "operation", "operand", "missed", "distraction", "carried", "extra", "answer", "no_answer"]

_CALCULATION = re.compile(r"(\d+) *([-+*/−–×x÷]) *(\d+) *= *(-?\d+)")
_ANSWER = re.compile(r"answer(?: is|:) *\$?(-?\d+)", re.IGNORECASE)
_SYMBOLS = {"−": "-", "–": "-", "×": "*", "x": "*", "÷": "/"}
_LABEL = re.compile(r"Step (\d+)\s*[:.,]\s*(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Step:
    """One step of somebody's solution, under the number it was given."""

    number: int
    text: str

    @property
    def calculations(self) -> tuple[Calculation, ...]:
        """Every `a + b = c` in it."""
        found = _CALCULATION.findall(self.text)
        return tuple(Calculation(int(a), _SYMBOLS.get(s, s), int(b), int(c)) for a, s, b, c in found)

    @property
    def answer(self) -> int | None:
        """The final answer that it states, if it does."""
        match = _ANSWER.search(self.text)
        return int(match[1]) if match else None


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The first wrong step, what kind of mistake it is, and how many of the story's changes were done before it.

    `made` is the wrong calculation as it stands, `sentence` the sentence of the question that matters here.
    """

    step: Step
    done: int
    kind: Kind
    made: Calculation | None = None
    sentence: str = ""


def read_steps(solution: str) -> list[Step]:
    """The steps of a solution: lines that begin with `Step k`, or every line where none does."""
    lines = [line.strip(" {}") for line in solution.splitlines() if line.strip(" {}")]
    if not any(_LABEL.match(line) for line in lines):
        return [Step(number, line) for number, line in enumerate(lines, 1)]
    steps: list[Step] = []
    for line in lines:
        if label := _LABEL.match(line):
            steps.append(Step(int(label[1]), label[2]))
        elif steps:
            steps[-1] = Step(steps[-1].number, f"{steps[-1].text}\n{line}")
    return steps


def diagnose(story: Story, steps: list[Step], finished: bool = True) -> Diagnosis | None:
    """The first mistake of a solution, None when every step and the answer are right or there is no step.

    Of what is not `finished` only what stands there is judged: a missing rest is no mistake.
    """
    position = 0
    for step in steps:
        before = position
        for made in step.calculations:
            if kind := _mistake(story, position, made):
                return Diagnosis(step, before, kind, made, _sentence(story, position, kind, made))
            position += 1
        if step.answer is not None:
            return _judge_answer(story, step, before, position)
    return _without_answer(story, steps, position) if finished else None


def _mistake(story: Story, position: int, made: Calculation) -> Kind | None:
    if position == len(story.changes):
        return "extra"
    want = story.calculations[position]
    if _operands(made) == _operands(want):
        return None if made.result == want.result else "arithmetic"
    if made.left != want.left:
        return "carried"
    later = [(change.symbol, change.operand) for change in story.changes[position + 1 :]]
    if made.right == want.right:
        return "operation"
    if (made.symbol, made.right) in later:
        return "missed"
    return "distraction" if _distraction(story, made.right) else "operand"


def _operands(calculation: Calculation) -> tuple[str, tuple[int, ...]]:
    pair = (calculation.left, calculation.right)
    return calculation.symbol, tuple(sorted(pair)) if calculation.symbol in "+*" else pair


def _distraction(story: Story, number: int) -> str:
    return next((s for s in story.distractions if re.search(rf"\b{number}\b", s)), "")


def _sentence(story: Story, position: int, kind: Kind, made: Calculation) -> str:
    if kind == "distraction":
        return _distraction(story, made.right)
    return story.changes[position].sentence if position < len(story.changes) else ""


def _judge_answer(story: Story, step: Step, before: int, position: int) -> Diagnosis | None:
    if position < len(story.changes):
        return Diagnosis(step, before, "missed", sentence=story.changes[position].sentence)
    return None if step.answer == story.answer else Diagnosis(step, before, "answer")


def _without_answer(story: Story, steps: list[Step], position: int) -> Diagnosis | None:
    if not steps:
        return None
    before = max(0, position - len(steps[-1].calculations))
    if position < len(story.changes):
        return Diagnosis(steps[-1], before, "missed", sentence=story.changes[position].sentence)
    return Diagnosis(steps[-1], before, "no_answer")
