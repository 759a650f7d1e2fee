"""Reading one plain number exactly: integers, decimals, fractions, mixed and scientific numbers, with %, $ and units.

Called by `compare`. No sympy, no floats: a value is a `Fraction`, so nothing is lost and nothing is evaluated.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

MAX_DIGITS = 400
_UNITS = {
    "m": "m meter meters metre metres", "cm": "cm centimeter centimeters centimetre centimetres",
    "mm": "mm millimeter millimeters", "km": "km kilometer kilometers kilometre kilometres",
    "in": "in inch inches", "ft": "ft foot feet", "yd": "yd yard yards", "mi": "mi mile miles",
    "g": "g gram grams", "kg": "kg kilogram kilograms", "mg": "mg milligram milligrams",
    "lb": "lb lbs", "oz": "oz ounce ounces", "l": "l liter liters litre litres",
    "ml": "ml milliliter milliliters", "gal": "gal gallon gallons", "s": "s sec second seconds",
    "min": "min minute minutes", "h": "h hr hrs hour hours", "day": "day days", "week": "week weeks",
    "month": "month months", "year": "year years yr yrs", "usd": "$ dollar dollars usd", "eur": "€ euro euros eur",
    "gbp": "£ gbp", "jpy": "¥ yen jpy", "cent": "cent cents ¢", "deg": "degree degrees deg",
    "rad": "rad radian radians",
}  # fmt: skip
UNITS = {name: unit for unit, names in _UNITS.items() for name in names.split()}
_LINKS = {"in", "of", "on", "at", "as", "a", "an", "is", "per"}
_ALGEBRA = (
    "sin cos tan cot sec csc log ln exp sqrt pi frac times cdot infty and or to by from than between either thousand "
    "million billion trillion hundred dozen dozens half quarter third thirds halves quarters fifths tenths"
)
_NOT_UNITS = frozenset(_ALGEBRA.split())
_TO_TWENTY = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty"
)
_WORDS = {word: number for number, word in enumerate(_TO_TWENTY.split())}
_WORDS |= {"thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90}

_INTEGER = r"(?:\d{1,3}(?:,\d{3})+|\d{1,3}(?:[ ]\d{3})+(?![ ]?\d|/)|\d+)"
_DECIMAL = rf"(?:{_INTEGER}(?:\.\d*)?|\.\d+)"
_PART = re.compile(r"-?\s*\d[\d,]*(?:\.\d+)?")
_RATIO = rf"(?:\\frac\s*(?:\{{\s*{_PART.pattern}\s*\}}|\d)\s*(?:\{{\s*{_PART.pattern}\s*\}}|\d)|\d+\s*/\s*\d+)"
NUMBER = re.compile(
    rf"""(?P<sign>[-+]?)\s*(?P<money>\\?[$€£¥]|USD\s)?\s*(?P<sign2>-?)\s*
    (?:(?:(?P<whole>\d+)\s*(?:\s|(?=\\frac)))?(?P<ratio>{_RATIO})(?![\d.])|(?P<decimal>{_DECIMAL}))
    (?:\s*(?:\\times|\\cdot|\*|x)\s*10\s*\^\s*\{{?\s*(?P<power>-?\d{{1,3}})\s*\}}?|[eE](?P<exponent>[-+]?\d{{1,3}})(?!\w))?
    """,
    re.X,
)
_AFTER = re.compile(r"\s*(?P<percent>\\?%|percent\b|per cent\b)?\s*(?P<degree>\^\s*\{?\\circ\}?)?\s*(?P<unit>.*)", re.S)
_POWER = re.compile(r"\s*(?:\^\s*\{?\s*([23])\s*\}?|square|squared|cubic|cubed|sq\.?)\s*")
_UNIT_WORD = re.compile(r"[^\W\d_]+(?:['-][^\W\d_]+)*")
_REPEATING = re.compile(r"(-?)(\d*)\.(\d*)\\overline\{(\d+)\}")
_BASE = re.compile(r"(-?\d+)_\{?(\d{1,2})\}?")


@dataclass(frozen=True, slots=True)
class Number:
    """An exact value and how it was written. `places` counts decimals, None for a fraction. `unit` names measures."""

    value: Fraction
    places: int | None = None
    percent: bool = False
    unit: frozenset[str] = frozenset()


def _unit(text: str) -> tuple[bool, frozenset[str]]:
    """Whether the text after a number can only be a unit, and which measures it names (none for things like eggs)."""
    powers = [m[1] or {"s": "2", "c": "3"}[m[0].strip()[0]] for m in _POWER.finditer(text)]
    rest = _POWER.sub(" ", text).strip(" .,;:")
    words = _UNIT_WORD.findall(rest)
    if _UNIT_WORD.sub("", rest).strip(" ./,()$¢") or any(word.lower() in _NOT_UNITS for word in words):
        return False, frozenset()
    if not words:
        return not powers, frozenset()
    first = _measure(words[0]) if words[0] != "in" or len(words) == 1 else None
    if first is None and len(words[0]) < 3 and words[0].isascii() and words[0] not in _LINKS:
        return False, frozenset()
    others = {_measure(word) for word in words[1:] if len(word) > 1 and word not in _LINKS}
    return True, frozenset(unit for unit in {first and first + "".join(powers[:1]), *others} if unit)


def _measure(word: str) -> str | None:
    return UNITS.get(word) or (UNITS.get(word.lower()) if len(word) > 1 else None)


def _fraction(text: str) -> Fraction | None:
    if "/" in text or "{" in text:
        top, bottom = (part.replace(",", "").replace(" ", "") for part in _PART.findall(text))
    else:
        top, bottom = re.findall(r"\d", text)
    return Fraction(top) / Fraction(bottom) if Fraction(bottom) else None


def _value(match: re.Match[str]) -> tuple[Fraction | None, int | None]:
    places: int | None = None
    if match["ratio"]:
        value = _fraction(match["ratio"])
        if value is not None and match["whole"]:
            value += int(match["whole"])
    else:
        digits = match["decimal"].replace(",", "").replace(" ", "")
        value, places = Fraction(digits.rstrip(".")), len(digits.partition(".")[2])
    power = int(match["power"] or match["exponent"] or 0)
    if value is None:
        return None, None
    if power:
        value, places = value * Fraction(10) ** power, None
    return (-value if "-" in (match["sign"], match["sign2"]) else value), places


def read_number(text: str) -> Number | None:
    """The one number that a text is, with at most a currency, a percent sign or a unit around it; None otherwise."""
    if sum(char.isdigit() for char in text) > MAX_DIGITS:
        return None
    text = text.strip()
    if match := _BASE.fullmatch(text):
        return Number(Fraction(match[1]), 0, unit=frozenset({f"base {int(match[2])}"}))
    if match := _REPEATING.fullmatch(text):
        return Number(_repeating(*match.groups()))
    match = NUMBER.match(text)
    if match is None:
        return _number_word(text)
    after = _AFTER.fullmatch(text[match.end() :])
    is_unit, unit = _unit(after["unit"]) if after else (False, frozenset[str]())
    value, places = _value(match)
    if after is None or not is_unit or value is None:
        return None
    if match["money"]:
        unit = frozenset({UNITS[match["money"].strip("\\ ").lower()]})
    if after["degree"]:
        unit = unit or frozenset({"deg"})
    return Number(value, places, after["percent"] is not None, unit)


def _repeating(sign: str, whole: str, start: str, period: str) -> Fraction:
    after_point = int(start or 0) + Fraction(int(period), int("9" * len(period)))
    value = int(whole or 0) + after_point * Fraction(1, int("1" + "0" * len(start)))
    return -value if sign else value


def _number_word(text: str) -> Number | None:
    tens, _, ones = text.lower().strip(" .").partition("-")
    if tens not in _WORDS or (ones and (ones not in _WORDS or _WORDS[tens] < 20)):
        return None
    return Number(Fraction(_WORDS[tens] + _WORDS.get(ones, 0)), 0)


def numbers_in(text: str) -> list[Fraction]:
    """Every number that is written in a text, in order."""
    return [value for match in NUMBER.finditer(text[:2_000]) if (value := _value(match)[0]) is not None]


def same_number(answer: Number, reference: Number) -> bool:
    """Whether an answer has the reference's value and no conflicting unit.

    A reference with two or more decimals may be rounded, so an answer that rounds to it is right; any other reference
    is exact. `25%` is 25 and 0.25; a bare 25 is not a bare 0.25.
    """
    if not (answer.unit <= reference.unit or reference.unit <= answer.unit):
        return False
    places = reference.places or 0
    slack = Fraction(1, 2) / Fraction(10) ** places if places >= 2 else Fraction(0)
    scales = {Fraction(1)}
    if answer.percent and not reference.percent:
        scales.add(Fraction(1, 100))
    if reference.percent and not answer.percent:
        scales.add(Fraction(100))
    return any(abs(answer.value * scale - reference.value) <= slack for scale in scales)
