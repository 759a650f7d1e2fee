"""What a rate limit is made of: a window that is never over its limit, an even pace, and a concurrency that adapts.

Used by `limiter` alone. Times are seconds of any clock that only goes forward.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

WINDOW_S = 60.0
SLACK_S = 1.0
"""How much longer than a minute an amount counts: what may lie between a lease and the endpoint's own clock."""
HASTE = 1.1
"""The pace over the limit's own, so that what a stall left unused can be caught up with; the window is what binds."""
BURST_S = 1.0
"""How far the pace may be run ahead of, so that leases can be given in batches."""
SAVE_S = 1.0
"""How old a limiter's saved state may be when it gives a lease."""
_BUCKET_S = 0.1


@dataclass(slots=True)
class Meter:
    """Amounts per minute. Over any window of 60 s, what was added is at most `limit`, if `wait` was 0 each time.

    Amounts are kept in buckets of 0.1 s and count from the end of theirs, so a limit of any size costs 600 numbers.
    `held` is what is open: it counts until it is released, when what came of it is added.
    """

    limit: float
    span: float = WINDOW_S + SLACK_S
    used: float = 0.0
    held: float = 0.0
    buckets: dict[int, float] = field(default_factory=dict)
    paced_until: float = 0.0
    largest: float = 0.0

    def wait(self, amount: float, now: float) -> float:
        """Seconds until `amount` may be added: 0 now, infinite if it is over the limit by itself."""
        if amount > self.limit:
            return math.inf
        self.largest = max(self.largest, amount)
        self._forget(now)
        return max(self._until_room(amount, now), self.paced_until - BURST_S - now if amount else 0.0, 0.0)

    def _until_room(self, amount: float, now: float) -> float:
        over = self.used + self.held + amount - self.limit
        if over <= 1e-9:
            return 0.0
        for bucket, held in self.buckets.items():
            over -= held
            if over <= 1e-9:
                return bucket * _BUCKET_S + self.span - now
        return _BUCKET_S  # what is held has to be released first

    def _forget(self, now: float) -> None:
        for bucket in list(self.buckets):
            if bucket * _BUCKET_S + self.span > now:
                break
            self.used -= self.buckets.pop(bucket)
        if not self.buckets:
            self.used = 0.0

    def add(self, amount: float, now: float) -> None:
        """Count an amount from now on."""
        if amount:
            bucket = math.ceil(now / _BUCKET_S)
            self.buckets[bucket] = self.buckets.get(bucket, 0.0) + amount
            self.used += amount

    def pace(self, amount: float, now: float) -> None:
        """Push the pace on by an amount; a negative one gives back what was expected and not used."""
        if amount > 0:
            self.paced_until = max(self.paced_until, now)
        self.paced_until += amount * self.span / self.limit / HASTE

    def correct(self, by: float, then: float, now: float) -> None:
        """An amount added at `then` was off: more counts from now on, less is taken back where it was."""
        if by >= 0:
            self.add(by, now)
        elif (bucket := math.ceil(then / _BUCKET_S)) in self.buckets:
            by = max(by, -self.buckets[bucket])
            self.buckets[bucket] += by
            self.used += by

    def lower(self, limit: float) -> None:
        """Take the endpoint's word that it allows less."""
        self.limit = min(self.limit, limit)

    def state(self) -> dict[str, Any]:
        """All that a limiter that comes back has to know, as JSON."""
        buckets = {str(k): v for k, v in self.buckets.items()}
        return {"buckets": buckets, "held": self.held, "largest": self.largest}

    def restore(self, state: dict[str, Any], saved: float) -> None:
        """Take up the state of `saved`. What the pace allowed in `SAVE_S` after that counts as added."""
        self.buckets = {int(k): v for k, v in state["buckets"].items()}
        self.used = sum(self.buckets.values())
        # The pace lets an amount in when it is due, however large it is: hence the largest on top.
        unknown = state["held"] + self.limit * (SAVE_S + BURST_S) * HASTE / self.span + state["largest"]
        self.add(min(unknown, self.limit), saved + SAVE_S)


@dataclass(slots=True)
class Concurrency:
    """How many requests may be open: doubles a round trip until the first sign of congestion, then one more each.

    Additive increase, multiplicative decrease (Chiu and Jain 1989), with the slow start of TCP.
    """

    most: int
    limit: float = 0.0
    threshold: float = math.inf
    held_until: float = 0.0

    def __post_init__(self) -> None:
        self.limit = float(min(self.most, 32)) if self.limit == 0 else self.limit

    def succeeded(self) -> None:
        """An answer came while all that is allowed was in use."""
        self.limit = min(self.most, self.limit + (1 if self.limit < self.threshold else 1 / self.limit))

    def congested(self, now: float, latency: float) -> None:
        """The endpoint is overrun. What was sent before this is noticed does not count again."""
        if now >= self.held_until:
            self.limit = self.threshold = max(1.0, self.limit * 0.7)
            self.held_until = now + max(latency, 1.0)
