"""What an endpoint's headers say of its limits: `Retry-After`, the usual `x-ratelimit-*`. Used by the openai engine."""

from __future__ import annotations

import email.utils
import re
import time
from collections.abc import Mapping

from lema_ray.spending.limiter import Told

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")


def read_told(headers: Mapping[str, str]) -> Told | None:
    """What the headers of a reply say; None when they say nothing. What cannot be read counts as not said."""
    told = Told(
        _retry_after(headers),
        *(_of(headers, "requests", what) for what in ("limit", "remaining", "reset")),
        *(_of(headers, "tokens", what) for what in ("limit", "remaining", "reset")),
    )
    return None if told == Told() else told


def _of(headers: Mapping[str, str], kind: str, what: str) -> float | None:
    text = headers.get(f"x-ratelimit-{what}-{kind}")
    return None if text is None else _seconds(text) if what == "reset" else _number(text)


def _number(text: str) -> float | None:
    try:
        return max(float(text), 0.0)
    except ValueError:
        return None


def _seconds(text: str) -> float | None:
    """`12`, `0.5s`, `120ms`, `6m0s`, or a date."""
    if (number := _number(text)) is not None:
        return number
    parts = _DURATION.findall(text)
    if parts and "".join(n + u for n, u in parts) == text.strip():
        return sum(float(number) * _UNITS[unit] for number, unit in parts)
    try:
        date = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(date.timestamp() - time.time(), 0.0)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    milliseconds = _number(headers.get("retry-after-ms", "?"))
    return _seconds(headers.get("retry-after", "?")) if milliseconds is None else milliseconds / 1000
