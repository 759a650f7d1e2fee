"""Units of measure: which words name one, and how units of one kind convert into each other.

Called by `numbers` and `quantities`. A unit is read as a set of (name, power), so that `km/h` is km and h to the minus
one; what only counts things (apples, students) names no measure and never conflicts with anything.
"""

from __future__ import annotations

import re
from fractions import Fraction

Unit = frozenset[tuple[str, int]]
NO_UNIT: Unit = frozenset()

_KINDS: dict[str, dict[str, tuple[str, str]]] = {
    "length": {
        "m": ("1", "meter meters metre metres"), "cm": ("1/100", "centimeter centimeters centimetre centimetres"),
        "mm": ("1/1000", "millimeter millimeters millimetre millimetres"),
        "km": ("1000", "kilometer kilometers kilometre kilometres"),
        "in": ("127/5000", "inch inches"), "ft": ("381/1250", "foot feet"), "yd": ("1143/1250", "yard yards yds"),
        "mi": ("201168/125", "mile miles"),
    },
    "mass": {
        "g": ("1", "gram grams gramme grammes gm"), "kg": ("1000", "kilogram kilograms kilo kilos kgs"),
        "mg": ("1/1000", "milligram milligrams"), "lb": ("45359237/100000", "lbs pound pounds"),
        "oz": ("45359237/1600000", "ounce ounces"), "t": ("1000000", "tonne tonnes"), "ton": ("907184.74", "tons"),
    },
    "volume": {
        "l": ("1", "L liter liters litre litres"), "ml": ("1/1000", "mL milliliter milliliters millilitre millilitres"),
        "gal": ("473176473/125000000", "gallon gallons"), "qt": ("473176473/500000000", "quart quarts"),
        "cup": ("473176473/2000000000", "cups"), "pint": ("473176473/1000000000", "pints"),
    },
    "time": {
        "s": ("1", "sec secs second seconds"), "min": ("60", "mins minute minutes"),
        "h": ("3600", "hr hrs hour hours"), "day": ("86400", "days"), "week": ("604800", "weeks wk wks"),
        "ms": ("1/1000", "millisecond milliseconds"),
    },
    "months": {"month": ("1", "months"), "year": ("12", "years yr yrs")},
    "angle": {"deg": ("1", "degree degrees")}, "radian": {"rad": ("1", "radian radians")},
    "usd": {"usd": ("1", "$ US$ USD dollar dollars buck bucks"), "cent": ("1/100", "cents ¢")},
    "eur": {"eur": ("1", "€ EUR euro euros")}, "gbp": {"gbp": ("1", "£ GBP"), "pence": ("1/100", "")},
    "jpy": {"jpy": ("1", "¥ JPY yen")}, "inr": {"inr": ("1", "₹ INR Rs rupee rupees")},
    "rub": {"rub": ("1", "₽ RUB ruble rubles")},
    "celsius": {"°C": ("1", "Celsius celsius")}, "fahrenheit": {"°F": ("1", "Fahrenheit fahrenheit")},
    "energy": {"J": ("1", "joule joules"), "kJ": ("1000", ""), "kWh": ("3600000", "")},
    "power": {"W": ("1", "watt watts"), "kW": ("1000", "kilowatt kilowatts")},
    "force": {"N": ("1", "newton newtons")}, "voltage": {"V": ("1", "volt volts")},
    "frequency": {"Hz": ("1", "hertz"), "kHz": ("1000", ""), "MHz": ("1000000", "")},
    "pressure": {"Pa": ("1", "pascal pascals"), "kPa": ("1000", "")},
    "data": {"KB": ("1", "kB"), "MB": ("1000", ""), "GB": ("1000000", "")},
}  # fmt: skip
_MEASURES = {name: (kind, Fraction(factor)) for kind, units in _KINDS.items() for name, (factor, _) in units.items()}
NAMES = {word: name for units in _KINDS.values() for name, (_, more) in units.items() for word in (name, *more.split())}
_RATES = {"mph": (("mi", 1), ("h", -1)), "kph": (("km", 1), ("h", -1)), "kmh": (("km", 1), ("h", -1))}
_LINKING = "in of on at as a an is are per each every the"
_LINKS = frozenset(_LINKING.split())
_NOT_UNITS = (
    "sin cos tan cot sec csc log ln exp sqrt pi frac times cdot infty and or to by from than between either not "
    "thousand million billion trillion hundred dozen dozens half quarter third thirds halves quarters fifths tenths "
    "mod plus minus"
)
_ALGEBRA = frozenset(_NOT_UNITS.split())
_POWER = re.compile(
    r"(?P<before>\b(?:square|sq\.?|cubic)\s+)?(?P<word>[^\W\d_]+(?:['-][^\W\d_]+)*|[$¢€£¥₹₽])"
    r"(?P<after>\s*(?:\^\s*\{?\s*(?P<power>-?[1-4])\s*\}?|squared|cubed))?"
)
_GAP = re.compile(r"[\s./,()*·]*(?:\\cdot\s*)?")


def measure(word: str) -> str | None:
    """The measure that a word names: `feet` is `ft`. Capitals matter in short symbols only (mL, kWh)."""
    return NAMES.get(word) or (NAMES.get(word.lower()) if len(word) > 2 else None)


def read_unit(text: str) -> Unit | None:
    """The measures that the text after a number names, none for things like eggs; None when it is no unit at all."""
    text = text.strip(" .,;:")
    found: dict[str, int] = {}
    position, sign = 0, 1
    while position < len(text):
        gap = _GAP.match(text, position)
        position = gap.end() if gap else position
        if gap and "/" in gap[0]:
            sign = -1
        match = _POWER.match(text, position)
        if match is None:
            break
        word = match["word"]
        if word.lower() in _ALGEBRA or not _fits(word, first=position == 0, last=match.end() == len(text)):
            return None
        if word.lower() in ("per", "each", "every", "a", "an"):
            sign = -1
        elif word not in _LINKS or position == 0:
            _count(found, word, sign * _power(match))
        position = match.end()
    return frozenset(found.items()) if not text[position:].strip(" .,;:()") else None


def _fits(word: str, first: bool, last: bool) -> bool:
    """A short word that is no unit is a variable, as in `5x`, unless it links others ("5 in a box")."""
    known = measure(word) is not None or word in _RATES or word in _LINKS
    return known or not first or len(word) > 2 or not word.isascii()


def _power(match: re.Match[str]) -> int:
    if match["power"]:
        return int(match["power"])
    said = f"{match['before'] or ''}{match['after'] or ''}"
    return 2 if "sq" in said else 3 if "cub" in said else 1


def _count(found: dict[str, int], word: str, power: int) -> None:
    for name, own in _RATES.get(word.lower(), ((measure(word), 1),)):
        if name is not None and (len(word) > 1 or not found or power < 0):
            found[name] = found.get(name, 0) + own * power


def kinds(unit: Unit) -> frozenset[tuple[str, int]]:
    """What is measured: `km/h` is a length by a time, and so is `mph`."""
    total: dict[str, int] = {}
    for name, power in unit:
        kind = _MEASURES[name][0]
        total[kind] = total.get(kind, 0) + power
    return frozenset((kind, power) for kind, power in total.items() if power)


def factor(unit: Unit) -> Fraction:
    """How many base units of its kind one of this unit is."""
    size = Fraction(1)
    for name, power in unit:
        size *= _MEASURES[name][1] ** power
    return size


def conversions(unit: Unit) -> frozenset[Fraction]:
    """What a value in this unit may be multiplied with to have it in another unit of the same kind."""
    if len(unit) != 1:
        return frozenset()
    ((name, power),) = unit
    kind, size = _MEASURES[name]
    return frozenset((size / other) ** power for k, other in _MEASURES.values() if k == kind and other != size)
