"""What goes wrong at real endpoints, injected on purpose into the demo's server by chance and seed."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

NAMES = ("rate_429", "rate_500", "disconnect", "malformed", "slow")


@dataclass(frozen=True, slots=True)
class Faults:
    """The share of requests that meet each fault; the rest are served. `slow` requests wait `slow_s` seconds first."""

    rate_429: float = 0.0
    rate_500: float = 0.0
    disconnect: float = 0.0
    malformed: float = 0.0
    slow: float = 0.0
    slow_s: float = 1.0

    def draw(self, rng: Random) -> str:
        """The fault of the next request, `ok` for none."""
        drawn = rng.random()
        for name in NAMES:
            drawn -= getattr(self, name)
            if drawn < 0:
                return name
        return "ok"


def parse_faults(text: str) -> Faults:
    """Faults from `rate_429=0.1,slow=0.05:2.0`. Raises `ValueError` that names the part that is wrong."""
    shares: dict[str, float] = {}
    for part in filter(None, (p.strip() for p in text.split(","))):
        name, _, value = part.partition("=")
        share, colon, seconds = value.partition(":")
        if name not in NAMES or (colon and name != "slow"):
            raise ValueError(f"fault {part!r}: expected one of {', '.join(NAMES)} as name=share, or slow=share:seconds")
        shares[name] = _share(part, share)
        if colon:
            shares["slow_s"] = _number(part, seconds)
    if sum(shares.get(name, 0.0) for name in NAMES) > 1:
        raise ValueError(f"faults {text!r}: the shares add up to more than 1")
    return Faults(**shares)


def _share(part: str, text: str) -> float:
    share = _number(part, text)
    if not 0 <= share <= 1:
        raise ValueError(f"fault {part!r}: the share must be between 0 and 1")
    return share


def _number(part: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"fault {part!r}: {text!r} is not a number") from None
