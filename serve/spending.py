"""What the request at hand has spent so far, wherever in the process it is being served.

Set by the HTTP application for each request, added to by the backends, read when the request ends in whatever way:
limits, metrics and the access log count what was computed, also for clients that left.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass, field


@dataclass(slots=True)
class Spent:
    """Tokens of one request over all its generations, and the text of the first choice of the last one."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    texts: list[str] = field(default_factory=list)

    @property
    def tokens(self) -> int:
        """Prompt and completion together."""
        return self.prompt_tokens + self.completion_tokens

    @property
    def text(self) -> str:
        """What has been said."""
        return "".join(self.texts)


SPENT: ContextVar[Spent | None] = ContextVar("spent", default=None)
