"""The first wrong step of an attempt at a question whose worked solution is known, and what is wrong with it in words.

`annotated` calls `first_slip` and `explain`. A step is wrong when it calculates falsely, when it makes or claims a
number that the way to the answer does not have and that nothing right builds on, or when it states a wrong answer.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from lema_ray.demo.worked import Worked, among
from lema_ray.grading.equations import Equation, equations_in, show
from lema_ray.grading.numbers import numbers_in

Kind = Literal["arithmetic", "foreign", "claim", "answer"]

_ANSWER = re.compile(r"(?i)answer\b.{0,20}?(?:\bis\b|:)|(?:^|\n)\s*A:|####|\\boxed")
_LIST_LABEL = re.compile(r"^\s*\d+[.)]\s")
# Numbers that need no source: of days, months, hours, minutes, per cent and the like.
_COMMON = frozenset(map(Fraction, (0, 1, 2, 7, 12, 24, 52, 60, 100, 365, 1000)))
_DONE_TO = {"+": "added", "-": "subtracted", "*": "multiplied", "/": "divided"}


@dataclass(frozen=True, slots=True)
class Slip:
    """The first wrong step (0-based), the kind of mistake, the equation or the number it is in, and what was right.

    `done` are the equations of the steps before it, `start` is the solution's line to go on with.
    """

    step: int
    kind: Kind
    done: tuple[Equation, ...]
    start: int
    made: Equation | None = None
    number: Fraction | None = None

    @property
    def reached(self) -> list[Fraction]:
        """The values that the steps before the wrong one have worked out."""
        return [e.result for e in self.done]


def first_slip(worked: Worked, steps: Sequence[str]) -> Slip | None:
    """The first mistake of an attempt; None when it has no step, or no mistake and the right answer."""
    equations = [equations_in(step) for step in steps]
    needed = _needed(worked, [e for made in equations for e in made])
    seen = [*worked.given, *worked.values, *needed, *_COMMON]
    for at, (step, made) in enumerate(zip(steps, equations, strict=True)):
        found = _in_equations(worked, made, needed) or _in_words(worked, step, made, seen)
        if found:
            return _slip(worked, steps, at, *found)
        seen += numbers_in(step)
    if not steps or (stated := _stated(steps[-1])) == worked.final:
        return None
    return _slip(worked, steps, len(steps) - 1, "answer", None, stated)


Found = tuple[Kind, Equation | None, Fraction | None]


def _slip(
    worked: Worked, steps: Sequence[str], at: int, kind: Kind, made: Equation | None, number: Fraction | None
) -> Slip:
    equations = [equations_in(step) for step in steps]
    # A wrong answer was settled on where its number first came up, unless that was a right calculation.
    while kind == "answer" and at and number == _stated(steps[at - 1]) and not worked.has(equations[at - 1]):
        at -= 1
    done = tuple(e for made in equations[:at] for e in made)
    return Slip(at, kind, done, worked.remaining(done), made, number)


def _needed(worked: Worked, equations: Sequence[Equation]) -> list[Fraction]:
    """Numbers from which the attempt itself rightly makes values of the solution: another order is no mistake."""
    needed: list[Fraction] = []
    for equation in reversed(equations):
        if equation.value is not None and among(equation.value, [*worked.results, *needed]):
            needed += equation.numbers
    return needed


def _in_equations(worked: Worked, made: Sequence[Equation], needed: Sequence[Fraction]) -> Found | None:
    for equation in made:
        if not equation.is_true:
            return "arithmetic", equation, None
        allowed = [*needed, *worked.results, *(() if equation.symbols else (*worked.values, *worked.given))]
        small = equation.result <= 1
        share = equation.result * 100 if small else equation.result / 100
        as_share = (share.denominator == 1) == small
        if not among(equation.result, allowed) and not (as_share and among(share, [*worked.values, *worked.given])):
            return "foreign", equation, None
    return None


def _in_words(worked: Worked, step: str, made: Sequence[Equation], seen: Sequence[Fraction]) -> Found | None:
    if _ANSWER.search(step):
        stated = _stated(step)
        return None if stated is None or stated == worked.final else ("answer", None, stated)
    if made or "=" in step:
        return None
    return next((("claim", None, n) for n in numbers_in(_LIST_LABEL.sub("", step)) if not among(n, seen)), None)


def _stated(step: str) -> Fraction | None:
    """The last number of a step: what it gives as the answer."""
    return next(reversed(numbers_in(step)), None)


def explain(worked: Worked, slip: Slip, steps: Sequence[str]) -> str:
    """What is wrong, in a sentence or two with the step's own numbers."""
    want = _wanted(worked, slip)
    needs = f"{want.left} = {want.shown}" if want else ""
    if slip.kind == "arithmetic" and slip.made and slip.made.value is not None:
        return f"{slip.made.left} is {show(slip.made.value)}, not {slip.made.shown}."
    if slip.kind == "foreign" and slip.made:
        return _explain_foreign(slip.made, want, [*worked.given, *slip.reached, *_COMMON])
    if slip.kind == "claim" and slip.number is not None:
        why = f"The number {show(slip.number)} has no ground: neither the question nor an earlier step gives it."
        return f"{why} What has to be worked out is {needs}." if needs else why
    return _explain_answer(worked, slip, needs)


def _explain_foreign(made: Equation, want: Equation | None, known: Sequence[Fraction]) -> str:
    did = f"{made.left} = {made.shown}" if made.symbols else made.shown
    stray = next((n for n in made.numbers if not among(n, known)), None)
    source = f" {show(stray)} is given neither by the question nor by an earlier step." if stray is not None else ""
    if want is None:
        return f"{did} does not lead to what the question asks for.{source}"
    needs = f"{want.left} = {want.shown}"
    has, wants = Counter(made.numbers), Counter(want.numbers)
    missing, extra = list((wants - has).elements()), list((has - wants).elements())
    if not missing and not extra and len(set(want.symbols)) == 1 and made.symbols != want.symbols:
        return f"The numbers are the right ones, but they have to be {_DONE_TO[want.symbols[0]]}: {needs}, not {did}."
    if not extra and len(missing) == 1 and has:
        return f"{did} leaves out the {show(missing[0])}: it should be {needs}."
    if not missing and len(extra) == 1:
        return f"The {show(extra[0])} does not belong into {did}: it should be {needs}."
    if len(missing) == len(extra) == 1 and made.symbols == want.symbols:
        return f"{did} takes {show(extra[0])} where {show(missing[0])} belongs: it should be {needs}."
    return f"{did} is not what is needed here.{source} What has to be worked out is {needs}."


def error_type(worked: Worked, slip: Slip) -> str:
    """What kind of mistake it is, in the shipped taxonomy's names, as far as numbers can tell."""
    if slip.kind == "arithmetic":
        return "calculation"
    if slip.kind == "claim":
        return "hallucination"
    if slip.kind == "answer" or slip.made is None:
        reached = worked.final is not None and among(worked.final, slip.reached)
        return "contradictory step" if reached else "missing step"
    return _foreign_type(slip.made, _wanted(worked, slip))


def _foreign_type(made: Equation, want: Equation | None) -> str:
    if want is None:
        return "question misinterpretation"
    has, wants = Counter(made.numbers), Counter(want.numbers)
    missing, extra = list((wants - has).elements()), list((has - wants).elements())
    if not missing and not extra:
        return "operator"
    if not extra:
        return "missing step"
    if not missing:
        return "hallucination"
    return "context value" if len(missing) == len(extra) == 1 else "question misinterpretation"


def _explain_answer(worked: Worked, slip: Slip, needs: str) -> str:
    stated = f"the answer given is {show(slip.number)}" if slip.number is not None else "no answer is given"
    if worked.final is not None and among(worked.final, slip.reached):
        return f"The steps lead to {show(worked.final)}, but {stated}."
    asked = re.split(r"(?<=[.!?])\s+", worked.question.strip())[-1]
    said = f"{stated[0].upper()}{stated[1:]}, but the question asks: {asked}"
    return f"{said} For that, {needs} still has to be worked out." if needs else said


def _wanted(worked: Worked, slip: Slip) -> Equation | None:
    """The calculation that should have been made: of those that can be made by now, the most alike."""
    left = [e for line in worked.equations[slip.start :] for e in line if e.symbols and e.result != slip.number]
    if slip.made is None or not slip.made.numbers:
        return next(iter(left), None)
    known, made = [*worked.given, *slip.reached], set(slip.made.numbers)
    ready = [e for e in left if all(among(n, known) for n in e.numbers)] or left[:1]
    return max(ready, key=lambda e: len(made & set(e.numbers)) / len(made | set(e.numbers)), default=None)
