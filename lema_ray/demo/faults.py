"""Which request meets which fault: shares by name, drawn by seed in the order of arrival. Used by the fault server."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

CONNECTION = {
    "rate_429": "HTTP 429 with Retry-After",
    "rate_429_bare": "HTTP 429 without it",
    "rate_500": "HTTP 500",
    "rate_503": "HTTP 503",
    "hang": "no reply for a long time (share:seconds)",
    "reset": "the connection is reset",
    "disconnect": "a few bytes, then the end",
    "cut": "most of the reply, or of the stream, then the end",
    "slow_bytes": "the reply a few bytes at a time (share:seconds)",
    "malformed": "half a JSON document",
    "wrong_json": "JSON of another shape",
    "slow": "the right reply, late (share:seconds)",
}
CONTENT = {
    "prose": "the answer's JSON with friendly words around it",
    "fence": "the answer's JSON in a code fence",
    "other_json": "an answer with other fields than were asked for",
    "empty": "an empty answer",
    "refusal": "a refusal",
    "content_filter": "an answer that the filter ended",
    "length": "an answer cut at its length",
    "wrong_model": "an answer by a model of another name",
    "huge": "an answer of a megabyte",
}
NAMES = (*CONNECTION, *CONTENT)
SECONDS = {"slow": 1.0, "hang": 600.0, "slow_bytes": 5.0}


@dataclass(frozen=True, slots=True)
class Faults:
    """The share of requests that meet each fault; the rest are served."""

    shares: tuple[tuple[str, float], ...] = ()
    seconds: tuple[tuple[str, float], ...] = tuple(SECONDS.items())

    def draw(self, rng: Random) -> str:
        """The fault of the next request, `ok` for none."""
        drawn = rng.random()
        for name, share in self.shares:
            drawn -= share
            if drawn < 0:
                return name
        return "ok"

    def seconds_of(self, name: str) -> float:
        """How long a fault that takes time takes."""
        return dict(self.seconds)[name]


def parse_faults(text: str) -> Faults:
    """Faults from `rate_429=0.1,slow=0.05:2.0`; `all=0.3` spreads a share evenly over all of them.

    Raises `ValueError` that names the part that is wrong.
    """
    shares: dict[str, float] = {}
    seconds = dict(SECONDS)
    for part in filter(None, (p.strip() for p in text.split(","))):
        name, _, value = part.partition("=")
        share, colon, duration = value.partition(":")
        if name not in (*NAMES, "all") or (colon and name not in SECONDS):
            timed = ", ".join(SECONDS)
            raise ValueError(
                f"fault {part!r}: expected name=share (name=share:seconds for {timed}); {', '.join(NAMES)}"
            )
        for one in NAMES if name == "all" else (name,):
            shares[one] = _share(part, share) / (len(NAMES) if name == "all" else 1)
        if colon:
            seconds[name] = _number(part, duration)
    if sum(shares.values()) > 1 + 1e-9:
        raise ValueError(f"faults {text!r}: the shares add up to more than 1")
    return Faults(tuple(shares.items()), tuple(seconds.items()))


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
