"""Comparison by mathematics: math-verify, checked by our own high-precision evaluation.

Runs only inside a child process of `pool` (it can hang or eat memory). Only LaTeX is parsed, by a grammar: nothing here
hands text to sympy's `parse_expr` or `sympify`, which execute it.
"""

from __future__ import annotations

import re
from typing import Any

from lema_ray.grading.compare import Comparison, without_units
from lema_ray.grading.intervals import same_form
from lema_ray.grading.numbers import read_number
from lema_ray.grading.spelling import normalise, value_side

DIGITS = 40
_IMAGINARY = re.compile(r"(?<=\d)i(?![a-z])")
_TRIGONOMETRY = re.compile(r"\\(?:sin|cos|tan|cot|sec|csc)(?![a-z])")
_DEGREES = re.compile(r"(\d+(?:\.\d+)?)\s*\^\s*\{?\s*\\circ\s*\}?")
_VARIABLES = re.compile(r"(?<![\\A-Za-z])[A-Za-z](?![A-Za-z])")
_LETTERS = re.compile(r"(?<![\\A-Za-z])(?<!\\begin\{)(?<!\\end\{)[A-Za-z]+")
_EDGE = 1e-6
"""Relative difference below which a disagreement between the two comparisons could be mere rounding."""


def load() -> None:
    """Import and warm up what takes a second, before the clock of the first comparison starts."""
    import logging

    import math_verify  # noqa: F401

    logging.disable(logging.CRITICAL)
    compare_symbolically("\\frac{x}{2}+1", "1+\\frac{x}{2}")


def _parse(text: str) -> list[Any]:
    from math_verify import LatexExtractionConfig, parse

    text = _IMAGINARY.sub(" i", text)
    if _TRIGONOMETRY.search(text):
        text = _DEGREES.sub(r"\\frac{\1\\pi}{180}", text)
    options = {"extraction_config": [LatexExtractionConfig()], "fallback_mode": "no_fallback", "parsing_timeout": None}
    return [_with_imaginary_unit(part) for part in parse("\\boxed{" + text + "}", **options)]


def _with_imaginary_unit(expression: Any) -> Any:
    """math-verify reads `i` as a variable."""
    from sympy import I

    named_i = [symbol for symbol in expression.free_symbols if symbol.name == "i"]
    return expression.subs({symbol: I for symbol in named_i}) if named_i else expression


def _differ_in_kind(one: Any, other: Any) -> bool:
    """Whether one is an inequality or several and the other a set, which math-verify cannot always compare."""
    from sympy import Ge, Gt, Le, Lt, Set

    relations, plain = (one, other) if one.has(Ge, Gt, Le, Lt) else (other, one)
    return bool(relations.has(Ge, Gt, Le, Lt)) and isinstance(plain, Set) and not plain.has(Ge, Gt, Le, Lt)


def _differ_in_case(one: str, other: str) -> bool:
    """math-verify reads `K` as `k`."""
    letters, others = (set(_VARIABLES.findall(text)) for text in (one, other))
    return letters != others and {a.lower() for a in letters} == {a.lower() for a in others}


def _points(expressions: list[Any]) -> list[dict[Any, Any]]:
    """Where to evaluate: nowhere special for constants, else three odd points of the common variables."""
    from sympy import Rational

    symbols = sorted({s for e in expressions for s in e.free_symbols}, key=str)
    places = ((37, 11), (129, 53), (-17, 71)) if symbols else ((1, 1),)
    return [{s: Rational(a + 13 * i, b + 7 * i) for i, s in enumerate(symbols)} for a, b in places]


def _differences(answer: Any, reference: Any) -> list[tuple[float, float]] | None:
    """Absolute and relative difference at each point, None when these are not expressions with values."""
    from sympy import Expr, Float, Rational, nan, oo, zoo

    exact = []
    for side in (answer, reference):
        if not isinstance(side, Expr) or side.has(oo, -oo, zoo, nan):
            return None
        exact.append(side.xreplace({f: Rational(str(f)) for f in side.atoms(Float)}))
    differences = []
    for point in _points(exact):
        a, b = (side.subs(point).doit().evalf(DIGITS) for side in exact)
        if not (a.is_number and b.is_number) or a.has(oo, zoo, nan) or b.has(oo, zoo, nan):
            return None
        gap, size = abs(a - b), max(abs(a), abs(b))
        differences.append((float(gap), float(gap / size) if size else 0.0))
    return differences


def _rounded(differences: list[tuple[float, float]], reference: str) -> bool:
    return len(differences) == 1 and differences[0][1] > 0 and _rounds_to(differences[0][0], reference)


def _rounds_to(difference: float, reference: str) -> bool:
    number = read_number(reference)
    places = number.places if number else None
    return places is not None and places >= 2 and difference <= 0.5 * 10.0**-places


def _measure(answer: Any, reference: Any) -> list[tuple[float, float]] | None:
    try:
        return _differences(answer, reference)
    except (TypeError, ValueError, ArithmeticError, AttributeError, NotImplementedError, RecursionError):
        return None


def _misread(answer: str, reference: str) -> bool:
    """Whether a verdict `wrong` may come from reading an answer as what it is not: `5k`, `1 in 4`, `x+2=5, x=3`."""
    letters, others = (set(_LETTERS.findall(text)) for text in (answer, reference))
    algebra = re.search(r"[+^]|\w\s*-", answer) is not None
    return ("=" in answer and "=" not in reference) or bool(letters - others and not others and not algebra)


def compare_symbolically(answer: str, reference: str) -> Comparison:
    """The verdict of mathematics. `unsure` when a side cannot be read, or when two ways of comparing disagree."""
    compared = _compare(answer, reference)
    said, wanted = normalise(answer), normalise(reference)
    if compared.verdict == "wrong" and _misread(value_side(said, wanted), value_side(wanted, said)):
        return Comparison("unsure", "misread", "the answer may not be the mathematics that it looks like")
    return compared


def _compare(answer: str, reference: str) -> Comparison:
    from math_verify import verify

    bare = without_units(answer, reference)
    answer, reference = (answer, reference) if isinstance(bare, Comparison) else bare
    said, wanted = normalise(answer), normalise(reference)
    said, wanted = same_form(value_side(said, wanted), value_side(wanted, said))
    gold, target = _parse(wanted), _parse(said)
    if not gold or not target:
        return Comparison("unsure", "unparsed", f"could not parse the {'answer' if gold else 'reference'}")
    differences = _measure(target[0], gold[0])
    if differences and min(relative for _, relative in differences) > _EDGE and not _rounded(differences, wanted):
        return Comparison("wrong", "evaluated")  # apart wherever they were evaluated: nothing can make them equal
    verified = bool(verify(gold, target, allow_set_relation_comp=True, timeout_seconds=None))
    if verified and _differ_in_case(said, wanted):
        return Comparison("unsure", "case", "equal but for the case of a variable")
    if differences is None:
        if not verified and _differ_in_kind(target[0], gold[0]):
            return Comparison("unsure", "kinds", "an inequality and a set that could not be compared")
        return Comparison("right" if verified else "wrong", "math_verify")
    if _rounded(differences, wanted):
        return Comparison("right", "rounds_to_reference")
    relative = max(relative for _, relative in differences)
    if verified == (relative < 10.0 ** (5 - DIGITS)):
        return Comparison("right" if verified else "wrong", "math_verify")
    return Comparison("unsure", "disagreement", f"math-verify: {verified}; relative difference {relative:.0e}")
