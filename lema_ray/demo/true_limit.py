"""A rate limit that the fault server really enforces: so many requests and tokens in any 60 s, and not one more.

It counts for itself and shares nothing with the limiter that is tested against it.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

WINDOW_S = 60.0


@dataclass
class TrueLimit:
    """Input tokens count when a request arrives, output tokens when it has been answered."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    refused: int = 0
    most: dict[str, int] = field(default_factory=lambda: {"requests": 0, "tokens": 0})
    _arrived: deque[tuple[float, int]] = field(default_factory=deque)
    _tokens: deque[tuple[float, int]] = field(default_factory=deque)
    _used: int = 0

    def admit(self, tokens: int) -> float:
        """0 when a request with so many input tokens is let in, else the seconds until it would be."""
        now = time.monotonic()
        self._forget(now)
        wait = max(self._wait_for_a_request(now), self._wait_for_tokens(tokens, now))
        if wait > 0:
            self.refused += 1
            return wait
        self._arrived.append((now, 1))
        self.count(tokens)
        self.most["requests"] = max(self.most["requests"], len(self._arrived))
        return 0.0

    def count(self, tokens: int) -> None:
        """Tokens used now."""
        now = time.monotonic()
        self._forget(now)
        self._tokens.append((now, tokens))
        self._used += tokens
        self.most["tokens"] = max(self.most["tokens"], self._used)

    def _forget(self, now: float) -> None:
        while self._arrived and self._arrived[0][0] <= now - WINDOW_S:
            self._arrived.popleft()
        while self._tokens and self._tokens[0][0] <= now - WINDOW_S:
            self._used -= self._tokens.popleft()[1]

    def _wait_for_a_request(self, now: float) -> float:
        if self.requests_per_minute is None or len(self._arrived) < self.requests_per_minute:
            return 0.0
        return self._arrived[0][0] + WINDOW_S - now

    def _wait_for_tokens(self, tokens: int, now: float) -> float:
        if self.tokens_per_minute is None:
            return 0.0
        over = self._used + tokens - self.tokens_per_minute
        for at, used in self._tokens:
            if over <= 0:
                return 0.0
            over -= used
            if over <= 0:
                return max(at + WINDOW_S - now, 0.001)
        return 0.0 if over <= 0 else WINDOW_S

    def headers(self) -> dict[str, str]:
        """The usual headers."""
        found = {}
        if self.requests_per_minute is not None:
            found["x-ratelimit-limit-requests"] = str(self.requests_per_minute)
            found["x-ratelimit-remaining-requests"] = str(self.requests_per_minute - len(self._arrived))
        if self.tokens_per_minute is not None:
            found["x-ratelimit-limit-tokens"] = str(self.tokens_per_minute)
            found["x-ratelimit-remaining-tokens"] = str(max(self.tokens_per_minute - self._used, 0))
        return found

    def report(self) -> dict[str, Any]:
        """What is allowed, the most that was let in within 60 s, and how many were refused."""
        allowed = {"requests": self.requests_per_minute, "tokens": self.tokens_per_minute}
        return {"allowed": allowed, "most": self.most, "refused": self.refused}
