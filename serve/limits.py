"""Limits per key over sliding minutes: requests, tokens, requests in flight. No Ray and no I/O; the clock is given.

One `Desk` deployment holds the windows of all replicas. A request is let in with an estimate of its tokens and settled
with the true number; one whose replica died is settled by its own deadline.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

MINUTE_S = 60.0


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a request has to wait, and how long."""

    what: str
    limit: int
    retry_after_s: float


@dataclass(slots=True)
class _Entry:
    at: float
    tokens: int
    expires: float


@dataclass(slots=True)
class _Window:
    entries: deque[_Entry] = field(default_factory=deque)
    tokens: int = 0
    in_flight: dict[int, _Entry] = field(default_factory=dict)


class Windows:
    """The last minute of every key."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._windows: dict[str, _Window] = {}
        self._next = 0

    def admit(
        self, key: str, requests: int | None, tokens: int | None, concurrency: int | None, estimate: int, lasts_s: float
    ) -> int | Refused:
        """A ticket for one request of at most `lasts_s` seconds, or why there is none now."""
        now, window = self._clock(), self._windows.setdefault(key, _Window())
        self._forget(window, now)
        if concurrency is not None and len(window.in_flight) >= concurrency:
            return Refused("requests in flight", concurrency, 1.0)
        if requests is not None and len(window.entries) >= requests:
            return Refused("requests per minute", requests, self._free(window, now, requests=1))
        if tokens is not None and window.tokens + estimate > tokens:
            return Refused(
                "tokens per minute", tokens, self._free(window, now, tokens=window.tokens + estimate - tokens)
            )
        self._next += 1
        entry = _Entry(now, estimate, now + lasts_s)
        window.entries.append(entry)
        window.tokens += estimate
        window.in_flight[self._next] = entry
        return self._next

    def settle(self, key: str, ticket: int, tokens: int) -> None:
        """A request has ended and spent so many tokens. A ticket that is not known any more is no error."""
        window = self._windows.get(key)
        entry = window.in_flight.pop(ticket, None) if window else None
        if window is None or entry is None:
            return
        if entry.at > self._clock() - MINUTE_S:
            window.tokens += tokens - entry.tokens
            entry.tokens = tokens

    def _forget(self, window: _Window, now: float) -> None:
        while window.entries and window.entries[0].at <= now - MINUTE_S:
            window.tokens -= window.entries.popleft().tokens
        for ticket in [ticket for ticket, entry in window.in_flight.items() if entry.expires <= now]:
            del window.in_flight[ticket]

    def _free(self, window: _Window, now: float, requests: int = 0, tokens: int = 0) -> float:
        """Seconds until so many of the oldest have left the minute; a whole one where that is not enough."""
        for entry in window.entries:
            requests, tokens = requests - 1, tokens - entry.tokens
            if requests <= 0 and tokens <= 0:
                return max(0.1, entry.at + MINUTE_S - now)
        return MINUTE_S
