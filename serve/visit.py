"""One HTTP request from its first byte to its last: made by `gate`, filled in by routes, written down at its end."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from serve.spending import Spent

if TYPE_CHECKING:
    from serve.keys import Key

SCOPE = "lema.visit"
PLAIN = "off"


@dataclass(slots=True)
class Visit:
    """What is known of a request."""

    id: str
    method: str
    path: str
    key: Key | None = None
    model: str = ""
    policy: str = PLAIN
    started: float = field(default_factory=time.monotonic)
    spent: Spent = field(default_factory=Spent)
    ticket: int | None = None
    admitted: bool = False
    question: str = ""
    trace: dict[str, Any] | None = None
    status: int = 0
    code: str | None = None
    first_s: float | None = None
    finished: bool = False
    left: bool = False

    @property
    def key_name(self) -> str:
        """Whose request it is; empty where nobody is asked for a key."""
        return self.key.name if self.key else ""

    @property
    def answered(self) -> bool:
        """Whether all of the answer was sent to somebody who was there."""
        return self.finished and not self.left

    @property
    def seconds(self) -> float:
        """How long it has taken so far."""
        return time.monotonic() - self.started

    def line(self) -> dict[str, Any]:
        """Its line in the access log."""
        ended = "done" if self.answered else "left"
        return {
            "request_id": self.id,
            "key": self.key_name or None,
            "method": self.method,
            "path": self.path[:200],
            "model": self.model or None,
            "policy": self.policy,
            "status": self.status,
            "code": self.code,
            "ended": ended,
            "seconds": round(self.seconds, 4),
            "first_byte_s": None if self.first_s is None else round(self.first_s, 4),
            "prompt_tokens": self.spent.prompt_tokens,
            "completion_tokens": self.spent.completion_tokens,
        }
