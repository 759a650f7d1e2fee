"""Times of day (`7:25 p.m.`, `19:25`, noon, "7 o'clock") and quantities in several units (`1 hour 30 minutes`).

Called by `compare`. Two times agree when their minutes do; morning and afternoon must agree only where both say which.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from fractions import Fraction

from lema_ray.grading.numbers import NUMBER, Number, read_number
from lema_ray.grading.units import factor, kinds

_HALF = r"(?P<half>[ap])\.?\s?m\b\.?"
_CLOCK = re.compile(
    rf"(?:at\s+)?(?P<hour>\d{{1,2}})\s*:\s*(?P<minute>[0-5]\d)(?::(?P<second>[0-5]\d))?\s*(?:{_HALF})?", re.I
)
_HOUR = re.compile(rf"(?:at\s+)?(?P<hour>\d{{1,2}})\s*(?:o'?clock)?\s*(?:{_HALF})?", re.I)
_NAMED = {"noon": 12 * 60, "midday": 12 * 60, "midnight": 0}
_WITH = re.compile(r"(?:12(?::00)?\s*)?(noon|midday|midnight)")
_PIECE = re.compile(
    rf"\s*(?:,|and\b)?\s*(?:{NUMBER.pattern.replace('?P<', '?P<n_')})\s*(?P<word>[a-z]+\.?)", re.X | re.I
)


@dataclass(frozen=True, slots=True)
class Time:
    """Seconds after midnight; after noon as well when `half` is unknown and the hour is below 13."""

    seconds: int
    knows_half: bool


def read_time(text: str) -> Time | None:
    """The time of day that a text is, None when it is none."""
    text = text.strip().strip(".").strip()
    if named := _WITH.fullmatch(text.lower()):
        return Time(_NAMED[named[1]] * 60, True)
    match = _CLOCK.fullmatch(text) or _HOUR.fullmatch(text)
    if match is None or text.isdigit() or int(match["hour"]) > 24:
        return None
    fields = match.groupdict()
    hour, half = int(match["hour"]), (fields["half"] or "").lower()
    if half and not 1 <= hour <= 12:
        return None
    hour = hour % 12 + 12 * (half == "p") if half else hour % 24
    seconds = hour * 3600 + int(fields.get("minute") or 0) * 60 + int(fields.get("second") or 0)
    return Time(seconds, bool(half) or int(match["hour"]) > 12 or match["hour"] == "0")


def same_time(answer: Time, reference: Time) -> bool:
    """Whether two times agree as far as both are told."""
    day = 24 * 3600 if answer.knows_half and reference.knows_half else 12 * 3600
    return (answer.seconds - reference.seconds) % day == 0


def read_compound(text: str) -> Number | None:
    """The one quantity that several of one kind add up to, in the first one's unit; None for any other text."""
    total: Number | None = None
    position, pieces = 0, 0
    while match := _PIECE.match(text, position):
        piece = read_number(match[0].strip(" ,").removeprefix("and").strip())
        if piece is None or len(piece.unit) != 1 or (total and kinds(piece.unit) != kinds(total.unit)):
            return None
        total, pieces, position = _added(total, piece), pieces + 1, match.end()
    return total if pieces > 1 and not text[position:].strip(" .") else None


def _added(total: Number | None, piece: Number) -> Number:
    if total is None:
        return piece
    value: Fraction = total.value + piece.value * factor(piece.unit) / factor(total.unit)
    return replace(total, value=value, places=None)
