"""Numbers as people read them: in the report, in its headline and on the command line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def percent(share: float, digits: int = 1) -> str:
    """A share as a percentage."""
    return f"{100 * share:.{digits}f} %"


def points(difference: float, sign: bool = False, unit: str = " points") -> str:
    """A difference of shares in percentage points, with a true minus."""
    text = f"{100 * difference:+.1f}" if sign else f"{100 * difference:.1f}"
    return text.replace("-", "−") + unit


def p_value(p: float) -> str:
    """A p-value as papers print it."""
    return "< 0.001" if p < 0.001 else f"= {p:.3f}"


def duration(seconds: float) -> str:
    """Seconds in the two largest units."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def count(value: Any) -> str:
    """Numbers with thousands separators, anything else as it is."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"


def flatten(data: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Nested keys and values as dotted keys, for parts whose shape belongs to another stage."""
    if isinstance(data, dict):
        for name, value in data.items():
            yield from flatten(value, f"{key}.{name}" if key else str(name))
    elif isinstance(data, list):
        yield key, ", ".join(map(str, data))
    else:
        yield key, data
