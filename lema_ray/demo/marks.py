"""Marks behind the steps of a solution: each calculation checked by its inverse, and whether that comes out.

A check is easier than what it checks where adding is easier than taking away. `word_problems` marks its solutions with
`marked: true`, `homework` teaches a base model to mark its own, and the rule-based teacher (`rules`) marks what it
repairs in a solution that is marked itself.
"""

from __future__ import annotations

import re

from lema_ray.demo.grammar import Calculation

MARK = " Check: "
_STEP = re.compile(r"(Step \d+: [^\n\"\\]*?, so (\d+) ([-+*/]) (\d+) = (\d+) [a-z ]+\.)(?!" + MARK + ")")


def check(made: Calculation) -> tuple[Calculation, bool]:
    """The calculation that checks one, worked out rightly, and whether the one holds by it."""
    left, symbol, right, result = made.left, made.symbol, made.right, made.result
    if symbol in "-/":
        inverse = "+" if symbol == "-" else "*"
        return _worked(result, inverse, right), _worked(result, inverse, right).result == left
    return _worked(right, symbol, left), _worked(right, symbol, left).result == result


def mark(made: Calculation) -> str:
    """What stands behind a step: ` Check: 35 + 27 is 62, right.` Without an equals sign, so that it is no step."""
    checked, holds = check(made)
    return f"{MARK}{str(checked).replace('=', 'is')}, {'right' if holds else 'wrong'}."


def marked(text: str) -> str:
    """A text whose steps, as stories word them, have their marks. Those that have one are left as they are."""
    return _STEP.sub(lambda m: m[1] + mark(Calculation(int(m[2]), m[3], int(m[4]), int(m[5]))), text)


def _worked(left: int, symbol: str, right: int) -> Calculation:
    return Calculation(left, symbol, right, left + right if symbol == "+" else left * right)
