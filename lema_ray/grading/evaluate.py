"""The value of a plain expression: fractions, powers, roots, pi, factorials and one-letter variables. Nothing else.

Called by `compare` and `lists`, before mathematics is asked for in a child process. Rational parts stay exact
(`Fraction`); roots and pi are Decimals of 120 digits. Variables are compared at three points. A small parser of its
own over a fixed set of signs: no text is ever executed, and what is not in its grammar has no value here.
"""

from __future__ import annotations

import math
import re
from decimal import Context, Decimal, DecimalException, Overflow, localcontext
from fractions import Fraction

from lema_ray.records import Verdict

Value = Fraction | Decimal
Point = dict[str, Fraction]

DIGITS = 120
_SAME, _APART = Decimal(10) ** -100, Decimal(10) ** -30
MAX_LENGTH, MAX_BITS = 300, 40_000
_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d{1,3}(?:,\d{3})+(?!\d)|\d+(?:\.\d+)?|\.\d+)|(?P<sign>\\cdot|\\times|\\div|\\sqrt|\\frac|\\pi"
    r"|\\\{|\\\}|[-+*/^(){}\[\]!])|(?P<letter>(?<![A-Za-z\\])[A-Za-z]{1,2}(?![A-Za-z(])))\s*"
)
_CONSTANTS = frozenset("ieEIjdDfghP")
"""Letters that may mean more than a variable: the imaginary unit, Euler's number, a differential, a function."""
_PI = Decimal(
    "3.14159265358979323846264338327950288419716939937510582097494459230781640628620899862803482534211706798214808651"
    "32823066470938446095505822317253594"
)
_PLACES = ((37, 11), (129, 53), (-17, 71))


class _NoValue(Exception):
    """The text is not in the grammar, or has no real value."""


class _Parser:
    def __init__(self, tokens: list[str], point: Point) -> None:
        self._tokens, self._at, self._point = tokens, 0, point

    def whole(self) -> Value:
        value = self._sum()
        if self._at != len(self._tokens):
            raise _NoValue
        return value

    def _next(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _take(self, wanted: str = "") -> str:
        token = self._next()
        if not token or (wanted and token != wanted):
            raise _NoValue
        self._at += 1
        return token

    def _sum(self) -> Value:
        value = self._product()
        while self._next() in ("+", "-"):
            sign = self._take()
            other = self._product()
            value = _add(value, other if sign == "+" else _times(Fraction(-1), other))
        return value

    def _product(self) -> Value:
        sign = Fraction(1)
        while self._next() in ("+", "-"):
            sign = -sign if self._take() == "-" else sign
        value = _times(sign, self._power())
        while token := self._next():
            if token in ("*", "\\cdot", "\\times"):
                self._take()
                value = _times(value, self._signed())
            elif token in ("/", "\\div"):
                self._take()
                value = _divide(value, self._signed())
                if self._next() not in ("", "+", "-", ")", "}", "]", "*", "\\cdot", "\\times"):
                    raise _NoValue  # 1/2x
            elif token in ("+", "-", ")", "}", "]", "^", "!"):
                break
            elif self._tokens[self._at - 1][-1].isdigit() and (token[0].isdigit() or token == "\\frac"):
                raise _NoValue  # 4\frac15 and 3 4
            else:
                value = _times(value, self._power())  # 2x, 3\sqrt{2}
        return value

    def _signed(self) -> Value:
        if self._next() == "-":
            self._take()
            return _times(Fraction(-1), self._power())
        return self._power()

    def _power(self) -> Value:
        base = self._atom()
        while self._next() == "!":
            self._take()
            base = _factorial(base)
        if self._next() != "^":
            return base
        self._take()
        exponent = self._group() if self._next() == "{" else self._signed_atom()
        if self._next() in ("^", "!"):
            raise _NoValue
        return _raise(base, exponent)

    def _signed_atom(self) -> Value:
        if self._next() == "-":
            self._take()
            return _times(Fraction(-1), self._atom())
        return self._atom()

    def _group(self) -> Value:
        close = {"{": "}", "(": ")", "[": "]"}[self._take()]
        value = self._sum()
        self._take(close)
        return value

    def _argument(self) -> Value:
        """`{...}`, or the one digit or letter of `\\frac12`."""
        if self._next() == "{":
            return self._group()
        token = self._next()
        if token[:1].isdigit() and len(token) > 1 and token.isdigit():
            self._tokens[self._at : self._at + 1] = [token[0], token[1:]]
        return self._atom()

    def _atom(self) -> Value:
        token = self._next()
        if token in ("(", "{", "["):
            return self._group()
        self._take()
        if token[0].isdigit() or token[0] == ".":
            return Fraction(token.replace(",", ""))
        if token == "\\pi":
            return _PI
        if token == "\\frac":
            top = self._argument()
            return _divide(top, self._argument())
        if token == "\\sqrt":
            degree = self._group() if self._next() == "[" else Fraction(2)
            return _raise(self._argument(), _divide(Fraction(1), degree))
        if token in self._point:
            return self._point[token]
        raise _NoValue


def _decimal(value: Value) -> Decimal:
    return value if isinstance(value, Decimal) else Decimal(value.numerator) / Decimal(value.denominator)


def _add(one: Value, other: Value) -> Value:
    if isinstance(one, Fraction) and isinstance(other, Fraction):
        return one + other
    return _decimal(one) + _decimal(other)


def _times(one: Value, other: Value) -> Value:
    if isinstance(one, Fraction) and isinstance(other, Fraction):
        return one * other
    return _decimal(one) * _decimal(other)


def _divide(one: Value, other: Value) -> Value:
    if not other:
        raise _NoValue
    if isinstance(one, Fraction) and isinstance(other, Fraction):
        return one / other
    return _decimal(one) / _decimal(other)


def _factorial(value: Value) -> Value:
    if not isinstance(value, Fraction) or value.denominator != 1 or not 0 <= value <= 1000:
        raise _NoValue
    return Fraction(math.factorial(int(value)))


def _raise(base: Value, exponent: Value) -> Value:
    if isinstance(exponent, Decimal) or (not base and exponent <= 0):
        raise _NoValue
    if exponent.denominator == 1 and isinstance(base, Fraction):
        bits = max(abs(base.numerator), base.denominator).bit_length() * abs(exponent.numerator)
        if bits > MAX_BITS:
            raise _NoValue
        return base ** int(exponent)
    if exponent.denominator == 1:
        return base ** int(exponent)
    if base < 0 or exponent.denominator > 12 or abs(exponent.numerator) > 1000:
        raise _NoValue  # an odd root of a negative number has more than one convention
    if isinstance(base, Fraction) and (root := _exact_root(base, exponent.denominator)) is not None:
        return root**exponent.numerator
    return _decimal(base) ** _decimal(exponent) if exponent.denominator > 2 else _root(base) ** exponent.numerator


def _root(base: Value) -> Decimal:
    return _decimal(base).sqrt()


def _exact_root(base: Fraction, degree: int) -> Fraction | None:
    if base.numerator.bit_length() > 500 or base.denominator.bit_length() > 500:
        return None
    top, bottom = (round(part ** (1 / degree)) for part in (base.numerator, base.denominator))
    return Fraction(top, bottom) if bottom and Fraction(top, bottom) ** degree == base else None


def _tokens(text: str) -> list[str] | None:
    if len(text) > MAX_LENGTH:
        return None
    tokens: list[str] = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None or match.end() == position:
            return None
        token = match[match.lastgroup or 0].strip()
        tokens += list(token) if match["letter"] else [{"\\{": "(", "\\}": ")"}.get(token, token)]
        position = match.end()
    return tokens


def _letters(tokens: list[str]) -> set[str]:
    return {token for token in tokens if len(token) == 1 and token.isalpha()}


def constant(text: str) -> Value | None:
    """The value of an expression without variables, None for any other text."""
    tokens = _tokens(text)
    if not tokens or _letters(tokens):
        return None
    return _value(tokens, {})


def _value(tokens: list[str], point: Point) -> Value | None:
    try:
        with localcontext(Context(prec=DIGITS, Emax=100_000, Emin=-100_000, traps=[Overflow])):
            return _Parser(list(tokens), point).whole()
    except (_NoValue, DecimalException, OverflowError, RecursionError, ValueError, ZeroDivisionError):
        return None


def same_value(one: Value, other: Value) -> bool | None:
    """Whether two values are the same, None when they are too close to say."""
    if isinstance(one, Fraction) and isinstance(other, Fraction):
        return one == other
    with localcontext(Context(prec=DIGITS)):
        a, b = _decimal(one), _decimal(other)
        if not (a.is_finite() and b.is_finite()):
            return None
        difference, size = abs(a - b), max(abs(a), abs(b))
        if difference <= size * _SAME:
            return True
        return False if difference > size * _APART else None


def compare_values(answer: str, reference: str) -> Verdict | None:
    """The verdict on two plain expressions; None where one is not plain or a tie is too close to call."""
    said, wanted = _tokens(answer), _tokens(reference)
    if not said or not wanted:
        return None
    letters = _letters(said) | _letters(wanted)
    if letters & _CONSTANTS or (_letters(said) != _letters(wanted) and not _is_sum(said if _letters(said) else wanted)):
        return None
    found = [_at(said, wanted, point) for point in _points(letters)]
    if None in found:
        return None
    return "right" if all(found) else "wrong"


def _is_sum(tokens: list[str]) -> bool:
    """Whether letters are surely variables: `2t + 4` is algebra, `12 k` may be twelve thousand."""
    return bool({"+", "-", "^"} & set(tokens[1:]))


def _points(letters: set[str]) -> list[Point]:
    places = _PLACES if letters else _PLACES[:1]
    return [{x: Fraction(a + 13 * i, b + 7 * i) for i, x in enumerate(sorted(letters))} for a, b in places]


def _at(said: list[str], wanted: list[str], point: Point) -> bool | None:
    one, other = _value(said, point), _value(wanted, point)
    return None if one is None or other is None else same_value(one, other)
