"""Reading one plain number exactly: integers, decimals, fractions, mixed and scientific numbers, with %, $ and units.

Called by `compare` and `lists`. No sympy, no floats: a value is a `Fraction`, so nothing is lost and nothing is
evaluated. Number formats are the English, Indian, Swiss and continental European ones; digits of other scripts and
their separators are ASCII by the time they come here (`clean`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from fractions import Fraction

from lema_ray.grading.number_words import read_number_words
from lema_ray.grading.units import NO_UNIT, Unit, conversions, factor, kinds, measure, read_unit

MAX_DIGITS = 400

_GROUPED = r"\d{1,3}(?:,\d{3})+|\d{1,3}(?:[ ]\d{3})+(?![ ]?\d|/)|\d{1,3}(?:'\d{3})+|\d{1,2}(?:,\d{2})+,\d{3}(?!\d)"
_CONTINENTAL = r"\d{1,3}(?:\.\d{3}){2,}(?:,\d+)?(?![\d.])|\d{1,3}(?:[. ]\d{3})+,\d+(?!\d|,\d)"
_INTEGER = rf"(?:{_GROUPED}|\d+)"
_DECIMAL = rf"(?:{_CONTINENTAL}|{_INTEGER}(?:\.\d*)?|\.\d+)"
_PART = re.compile(r"-?\s*\d[\d,]*(?:\.\d+)?")
_FRACTION = (
    rf"\\c?frac\s*(?:\{{\s*{_PART.pattern}\s*\}}|\d)\s*(?:\{{\s*{_PART.pattern}\s*\}}|\d)"
    rf"|\{{\s*{_PART.pattern}\s*\\over\s*{_PART.pattern}\s*\}}"
)
_RATIO = rf"(?:{_FRACTION}|\d[\d,]*\s*/\s*\d[\d,]*)"
_MONEY = r"(?:US|CA?|AU?|HK|NZ|R)?\\?[$€£¥₹₽₩฿₺₫₴₦₱]|(?:USD|EUR|GBP|JPY|INR|CNY|RMB|Rs\.?)(?=[\s\d])"
NUMBER = re.compile(
    rf"""(?P<sign>[-+]?)\s*(?P<money>{_MONEY})?\s*(?P<sign2>-?)\s*
    (?:(?:(?P<whole>\d+)\s*(?:\s|(?=\\c?frac)))?(?P<ratio>{_RATIO})(?![\d.])|(?P<decimal>{_DECIMAL}))
    (?:\s*(?:\\times|\\cdot|\*|x)\s*10\s*(?:\^|\*\*)\s*\{{?\s*(?P<power>-?\d{{1,3}})\s*\}}?
       |[eE](?P<exponent>[-+]?\d{{1,3}})(?!\w))?
    """,
    re.X,
)
_PLAIN = re.compile(r"-?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?")
_AFTER = re.compile(r"\s*(?P<percent>\\?%|percent\b|per cent\b)?\s*(?P<degree>\^\s*\{?\\circ\}?)?\s*(?P<unit>.*)", re.S)
_TEMPERATURE = re.compile(r"\s*([CF])(?![a-z])")
_REPEATING = re.compile(
    r"(-?)(\d*)\.(\d*)(?:\\(?:overline|bar|overbar|dot)\s*\{(\d+)\}|\((\d+)\)|(\d)\6\6+(?:\.\.\.|…|\\[lc]?dots))"
)
_BASE = re.compile(r"(-?[\dA-F]+)_\{?\s*(\d{1,2}|two|three|eight|ten|sixteen)\s*\}?")
_BASES = {"two": 2, "three": 3, "eight": 8, "ten": 10, "sixteen": 16}
_ABOUT = re.compile(r"(?:\\approx|\\simeq|\\sim|≈|~|=|:|about\b|around\b|approximately\b|approx\.?|roughly\b)\s*", re.I)
_MINUS = re.compile(r"(?:minus|negative)\s+", re.I)
_DOUBLED = re.compile(r"-\s*\(?\s*-\s*(?=[\d\\.])")
_ORDINAL = re.compile(r"(\d)\s*(?:\^\s*\{?\s*)?(?:st|nd|rd|th)(?:\s*\})?(?![a-z])")
_HAN_SCALE = re.compile(r"\d\s*[十百千万億亿]")
_MONEY_BEFORE = re.compile(rf"(?:{_MONEY})\s*")
_EXPLAINED = re.compile(r"([^()]+?)\s*\(([^()]+)\)")


@dataclass(frozen=True, slots=True)
class Number:
    """An exact value and how it was written. `places` counts decimals, None for a fraction. `unit` names measures."""

    value: Fraction
    places: int | None = None
    percent: bool = False
    unit: Unit = NO_UNIT
    base: int = 0


def _fraction(text: str) -> Fraction | None:
    parts = [part.replace(",", "").replace(" ", "") for part in _PART.findall(text)]
    top, bottom = parts if len(parts) == 2 else re.findall(r"\d", text)
    return Fraction(top) / Fraction(bottom) if Fraction(bottom) else None


def _decimal(text: str) -> tuple[Fraction, int]:
    if re.fullmatch(_CONTINENTAL, text):
        text = text.replace(".", "").replace(" ", "").replace(",", ".")
    digits = text.replace(",", "").replace(" ", "").replace("'", "").rstrip(".")
    return Fraction(digits), len(digits.partition(".")[2])


def _value(match: re.Match[str]) -> tuple[Fraction | None, int | None]:
    places: int | None = None
    if match["ratio"]:
        value = _fraction(match["ratio"])
        if value is not None and match["whole"]:
            value += int(match["whole"])
    else:
        value, places = _decimal(match["decimal"])
    power = int(match["power"] or match["exponent"] or 0)
    if value is None:
        return None, None
    if power:
        value, places = value * Fraction(10) ** power, None
    return (-value if "-" in (match["sign"], match["sign2"]) else value), places


def read_number(text: str) -> Number | None:
    """The one number that a text is, with at most a currency, a percent sign or a unit around it; None otherwise."""
    text = text.strip()
    if _PLAIN.fullmatch(text) and len(text) <= MAX_DIGITS:
        return Number(*_decimal(text))
    if not text or len(text) > 2 * MAX_DIGITS or sum(char.isdigit() for char in text) > MAX_DIGITS:
        return None
    text = _ABOUT.sub("", text, count=1) if _ABOUT.match(text) else text
    if minus := _MINUS.match(text) or _DOUBLED.match(text):
        found = read_number(text[minus.end() :].rstrip(")"))
        negative = _MINUS.match(text) is not None
        return replace(found, value=-found.value if negative else found.value) if found and found.value >= 0 else None
    return _read(text) or _explained(text)


def _read(text: str) -> Number | None:
    if (match := _BASE.fullmatch(text)) and match[1].lstrip("-").isdigit():
        return Number(Fraction(match[1]), 0, base=_BASES.get(match[2]) or int(match[2]))
    if match := _REPEATING.fullmatch(text):
        return Number(_repeating(*match.groups()))
    match = NUMBER.match(_ORDINAL.sub(r"\1", text))
    if match is None or _HAN_SCALE.search(text):
        return _in_words(text)
    return _with_unit(match) or _in_words(text)


def _with_unit(match: re.Match[str]) -> Number | None:
    after = _AFTER.fullmatch(match.string[match.end() :])
    value, places = _value(match)
    if after is None or value is None:
        return None
    said = after["unit"]
    if after["degree"] and (scale := _TEMPERATURE.match(said)):
        unit: Unit | None = frozenset({(f"°{scale[1]}", 1)})
        said = said[scale.end() :]
        return Number(value, places, unit=unit or NO_UNIT) if not said.strip(" .") else None
    unit = read_unit(said)
    if unit is None:
        return None
    if match["money"] and not unit:
        name = measure(match["money"].strip("\\ .")) or measure(match["money"][-1])
        unit = frozenset({(name, 1)}) if name else NO_UNIT
    if after["degree"]:
        unit = unit or frozenset({("deg", 1)})
    return Number(value, places, after["percent"] is not None, unit)


def _repeating(sign: str, whole: str, start: str, *periods: str | None) -> Fraction:
    period = next(p for p in periods if p)
    after_point = int(start or 0) + Fraction(int(period), int("9" * len(period)))
    value = int(whole or 0) + after_point * Fraction(1, int("1" + "0" * len(start)))
    return -value if sign else value


def _in_words(text: str) -> Number | None:
    spoken = read_number_words(_MONEY_BEFORE.sub("", text))
    if spoken is None:
        return None
    value, rest = spoken
    percent = re.match(r"\s*(?:%|percent\b|per cent\b)", rest)
    unit = read_unit(rest[percent.end() :] if percent else rest)
    return Number(value, 0 if value.denominator == 1 else None, percent is not None, unit) if unit is not None else None


def _explained(text: str) -> Number | None:
    """`seven (7)` and `16 (2 dozen)`: a number said twice."""
    match = _EXPLAINED.fullmatch(text)
    first, second = (_read(match[1]), _read(match[2])) if match else (None, None)
    return first if first and second and first.value == second.value else None


def numbers_in(text: str) -> list[Fraction]:
    """Every number that is written in figures in a text, in order."""
    return [value for match in NUMBER.finditer(text[:2_000]) if (value := _value(match)[0]) is not None]


def same_number(answer: Number, reference: Number) -> bool:
    """Whether an answer has the reference's value and no conflicting unit.

    A reference with two or more decimals may be rounded, so an answer that rounds to it is right; any other reference
    is exact. `25%` is 25 and 0.25; a bare 25 is not a bare 0.25. 90 minutes are 1.5 hours.
    """
    if answer.base and reference.base and answer.base != reference.base:
        return False
    said = answer.value
    if not (answer.unit <= reference.unit or reference.unit <= answer.unit):
        if kinds(answer.unit) != kinds(reference.unit):
            return False
        said = said * factor(answer.unit) / factor(reference.unit)
    return any(_equal(said * scale, reference) for scale in _scales(answer, reference))


def _equal(value: Fraction, reference: Number) -> bool:
    places = reference.places or 0
    slack = Fraction(1, 2) / Fraction(10) ** places if places >= 2 else Fraction(0)
    return abs(value - reference.value) <= slack


def _scales(answer: Number, reference: Number) -> set[Fraction]:
    scales = {Fraction(1)}
    if answer.percent and not reference.percent:
        scales.add(Fraction(1, 100))
    if reference.percent and not answer.percent:
        scales.add(Fraction(100))
    return scales


def near_miss(answer: Number, reference: Number) -> str | None:
    """Why a difference may be one of writing and not of value, so that nobody should call the answer a mistake."""
    if answer.unit != reference.unit and not (answer.unit and reference.unit):
        scales = conversions(answer.unit) | {1 / scale for scale in conversions(reference.unit)}
        if answer.value and any(_equal(answer.value * scale, reference) for scale in scales):
            return "equal in another unit of the same kind"
    for one, other in ((answer, reference), (reference, answer)):
        if one.places == 3 and abs(one.value) < 1000 and _equal(one.value * 1000, replace(other, places=0)):
            return "equal if its point marks thousands"
        if one.places == 0 and other.places == 3 and one.value == other.value * 1000:
            return "equal if its comma marks decimals"
    return None
