"""The equations written in a solution's step, recalculated with fractions; nothing is ever evaluated as code.

The `rise` recipe tells wrong steps by it, and the demo's annotated teacher reads solutions with it. Units between the
numbers (`2 sheets * 80 rooms = 160`), GSM8K's `<<48/2=24>>` marks, simple LaTeX and chains (`a = b = c`) are
understood; algebra is left alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

_MARK = re.compile(r"<<[^<>\n]*>>")
_CLEANING = (
    (re.compile(r"\\[dt]?frac\s*\{(\d+)\}\s*\{(\d+)\}"), r"(\1/\2)"),
    (re.compile(r"\\[dt]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}"), r"((\1)/(\2))"),
    (re.compile(r"\\(?:text|mathrm|textbf|boxed)\s*\{([^{}]*)\}"), r" \1 "),
    (re.compile(r"\\times|\\cdot|\\ast|[×·∗]|(?<=[\d)%\s])[xX](?=\s*[$\d(.])"), "*"),
    (re.compile(r"\\div|÷"), "/"),
    (re.compile(r"\\approx|≈|\bequals\b"), "="),
    (re.compile(r"[<>!]=|=="), "\n"),
    (re.compile(r"(?<=\d)\s*\*\*\s*(?=\d)"), "^"),
    (re.compile(r"\*\*|\\[()\[\]]|\\[,;! ]|\\left|\\right|[$€£]|\\(?=%)"), ""),
    (re.compile(r"[−–]"), "-"),
    (re.compile(r"\([^\W\d_][^()\d+*/=-]*\)"), ""),
    (re.compile(r"(?<=\d),(?=\d{3}(?!\d))"), ""),
)
_TOKEN = re.compile(r"(?P<number>(?:\d+(?:\.\d+)?|\.\d+)(?![\w^]))|(?P<word>[^\W\d_][\w'’-]*)|(?P<other>\S|\n)")
# Words that change the number they stand at or begin something else, and the names of unknowns.
_NOT_UNITS = "of dozen half twice double thousand million billion percent hundred and or then gives is by so to"
_NO_UNITS = {*_NOT_UNITS.split(), *"bcdefijknopqrtuvwxyz"}
_ABOUT = ("about", "approximately", "roughly", "only")
_SYMBOLS = tuple("+-*/")
_LONGEST = 40


@dataclass(frozen=True, slots=True)
class Equation:
    """`left = shown`. `value` is what the left side makes, None when it is no calculation; `result` is `shown`'s value.

    `numbers` are the left side's numbers in order and `symbols` its operators.
    """

    left: str
    shown: str
    result: Fraction
    value: Fraction | None = None
    numbers: tuple[Fraction, ...] = ()
    symbols: str = ""
    is_true: bool = True


@dataclass(frozen=True, slots=True)
class _Side:
    """A part of a text that reads as a number or a calculation."""

    value: Fraction
    numbers: tuple[Fraction, ...]
    symbols: str
    text: str
    percent: bool

    @property
    def shown(self) -> str:
        """The number as it is written, without its unit."""
        return self.text.rstrip("%")


def show(value: Fraction) -> str:
    """A value as people write it: whole, with up to four decimals, or as a fraction."""
    if value.denominator == 1:
        return str(value.numerator)
    decimals = f"{float(value):.4f}".rstrip("0")
    return decimals if Fraction(decimals) == value else f"{value.numerator}/{value.denominator}"


def equations_in(text: str) -> list[Equation]:
    """The equations of a text in order, each one once."""
    found: dict[tuple[frozenset[Fraction], Fraction], Equation] = {}
    for line in text.splitlines():
        marks = (mark[2:-2] for mark in _MARK.findall(line))
        for part in (_MARK.sub("", line), *marks):
            for equation in _equations(part[:1000]):
                found.setdefault((frozenset(equation.numbers), equation.result), equation)
    return list(found.values())


def _equations(line: str) -> Iterator[Equation]:
    for pattern, replacement in _CLEANING:
        line = pattern.sub(replacement, line)
    sides = [_TOKEN.findall(side) for side in line.split("=")]
    for before, after in pairwise(sides):
        left, right = _left(before[-_LONGEST:]), _right(after[:_LONGEST])
        # What stands before a calculation is a name or what it restates: `Total = 5 * 3 = 15`.
        if right and not isinstance(left, str) and (not right.symbols or (left and left.symbols)):
            yield _equation(left, right)


Tokens = Sequence[tuple[str, str, str]]


def _equation(left: _Side | None, right: _Side) -> Equation:
    if left is None or not left.symbols:
        return Equation(left.text if left else "", right.shown, right.value, numbers=left.numbers if left else ())
    # In `48 / 2 = 24 + 48 = 72` the equals sign ends the first calculation and its result begins the next.
    whole = not right.symbols or left.value == right.value
    result = right.value if whole else right.numbers[0]
    shown = show(result) if right.symbols else right.shown
    is_true = _equal(left.value, result, shown, left.percent or right.percent)
    return Equation(left.text, shown, result, left.value, left.numbers, left.symbols, is_true)


def _equal(value: Fraction, result: Fraction, shown: str, percent: bool) -> bool:
    """Whether the result is the value, exactly or rounded to the digits shown (with decimals, also cut off there)."""
    places = len(shown.partition(".")[2])
    unit = Fraction(1, 10**places)
    scales = (Fraction(1), Fraction(100), Fraction(1, 100)) if percent else (Fraction(1),)
    missing = [abs(value * scale) - abs(result) if value * result >= 0 else 2 * unit for scale in scales]
    return any(abs(lack) <= unit / 2 or (places > 0 and 0 <= lack < unit) for lack in missing)


def _left(tokens: Tokens) -> _Side | str | None:
    """The longest calculation at the end; None where there is no number, "algebra" where it hangs on an operator."""
    for start in range(len(tokens)):
        reader = _Reader(tokens[start:])
        side = reader.side() if tokens[start][0] or tokens[start][2] in ("(", ".") else None
        if side and reader.at_end:
            return "algebra" if start and tokens[start - 1][2] in (*_SYMBOLS, "^") else side
    return "algebra" if any(t[0] or t[2] in (*_SYMBOLS, *"^\\0123456789") for t in tokens) else None


def _right(tokens: Tokens) -> _Side | None:
    """The longest number or calculation at the beginning."""
    while tokens and tokens[0][1].casefold() in _ABOUT:
        tokens = tokens[1:]
    return _Reader(tokens).side()


class _Reader:
    """A recursive descent over tokens: sums of products of numbers, each with a unit perhaps."""

    def __init__(self, tokens: Tokens) -> None:
        self.tokens, self.at = tokens, 0
        self.pieces: list[str] = []  # what was read, without the units

    @property
    def at_end(self) -> bool:
        """Whether everything was read."""
        return self.at == len(self.tokens)

    def side(self) -> _Side | None:
        """The calculation from here on as far as it goes."""
        sign = self._take("-")
        value = self._chain("+-")
        if value is None:
            return None
        text = "".join(f" {p} " if p in _SYMBOLS else p for p in self.pieces[bool(sign) :])
        numbers = [_number(p) for p in self.pieces if p[-1] in "0123456789%"]
        symbols = "".join(p for p in self.pieces[bool(sign) :] if p in _SYMBOLS)
        return _Side(-value if sign else value, tuple(numbers), symbols, (sign or "") + text, "%" in text)

    def _take(self, symbols: str) -> str | None:
        if self.at_end or not self.tokens[self.at][2] or self.tokens[self.at][2] not in symbols:
            return None
        self.at += 1
        self.pieces.append(self.tokens[self.at - 1][2])
        return self.pieces[-1]

    def _chain(self, symbols: str) -> Fraction | None:
        """A sum of products, or with `symbols` of products a product of factors; an operator without one is left."""
        value = self._part(symbols)
        while value is not None:
            at, pieces = self.at, len(self.pieces)
            symbol = self._take(symbols) or (self._implied() if symbols == "*/" else None)
            other = self._part(symbols) if symbol else None
            if symbol is None or other is None or (symbol == "/" and other == 0):
                self.at = at
                del self.pieces[pieces:]
                return value
            value = _calculate(value, symbol, other)
        return None

    def _part(self, symbols: str) -> Fraction | None:
        return self._chain("*/") if symbols == "+-" else self._factor()

    def _implied(self) -> str | None:
        """The multiplication in `2(6 + 12)`, `25% of 40` and `3/4 of 40`."""
        if not self.at_end and self.tokens[self.at][2] == "(" and self.tokens[self.at - 1][1] == "":
            self.pieces.append("*")
            return "*"
        is_share = self.pieces[-1].endswith("%") or self.pieces[-2:-1] == ["/"]
        if self.at_end or self.tokens[self.at][1].casefold() != "of" or not is_share:
            return None
        self.at += 1
        self.pieces.append("*")
        return "*"

    def _factor(self) -> Fraction | None:
        if self._take("("):
            value = self._chain("+-")
            if value is None or not self._take(")"):
                return None
        elif not self.at_end and self.tokens[self.at][0]:
            self.pieces.append(self.tokens[self.at][0])
            self.at += 1
            if self._take("%"):
                self.pieces[-2:] = ["".join(self.pieces[-2:])]
            value = _number(self.pieces[-1])
        else:
            return None
        self._skip_unit()
        return value

    def _skip_unit(self) -> None:
        """Passes `pillow cases/sheet` and the like; a word that is part of the arithmetic stays."""
        for _ in range(5):
            rest = self.tokens[self.at : self.at + 2]
            step = 2 if len(rest) == 2 and rest[0][2] == "/" and rest[1][1] else 1
            word = rest[step - 1][1].casefold() if len(rest) >= step else ""
            if not word or word in _NO_UNITS:
                return
            self.at += step


def _number(text: str) -> Fraction:
    return Fraction(text[:-1]) / 100 if text.endswith("%") else Fraction(text)


def _calculate(a: Fraction, symbol: str, b: Fraction) -> Fraction:
    if symbol in "+-":
        return a + b if symbol == "+" else a - b
    return a * b if symbol == "*" else a / b
