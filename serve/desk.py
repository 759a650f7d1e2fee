"""What all replicas of a model share: the keys' limits, the latest answers for feedback, and each replica's metrics.

`Desk` is plain Python; `LocalDesk` holds one in the replica's own process, `DeskDeployment` is one for all replicas and
`RemoteDesk` the way to it. A desk that died, or was deployed anew with its model,
comes back empty: minutes begin anew, and answers given before it cannot be
judged any more.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from typing import Any, Protocol

from serve.errors import unavailable
from serve.limits import Refused, Windows

ANSWER_S = 5.0
"""Seconds a replica waits for the desk before it sends the client away."""
REPORT_FORGOTTEN_S = 20.0
"""A replica that has been silent for so long, four reports, is gone, and with it what it said last."""


class Desk:
    """The shared state. Its methods return at once."""

    def __init__(self, remembered: int = 0) -> None:
        self._windows = Windows(time.monotonic)
        self._remembered = remembered
        self._answers: OrderedDict[str, dict[str, Any]] = OrderedDict()
        self._reports: dict[str, tuple[float, str]] = {}

    def admit(self, key: str, limits: dict[str, int | None], estimate: int, lasts_s: float) -> int | Refused:
        """A ticket for one request of that key, or why there is none."""
        return self._windows.admit(
            key, limits["requests_per_minute"], limits["tokens_per_minute"], limits["concurrency"], estimate, lasts_s
        )

    def settle(self, key: str, ticket: int, tokens: int) -> None:
        """The request has ended."""
        self._windows.settle(key, ticket, tokens)

    def remember(self, id: str, answer: dict[str, Any]) -> None:
        """Keep an answer for a verdict about it."""
        self._answers[id] = answer
        while len(self._answers) > self._remembered:
            self._answers.popitem(last=False)

    def recall(self, id: str) -> dict[str, Any] | None:
        """The answer of that id, if it is still known."""
        return self._answers.get(id)

    def report(self, replica: str, metrics: str) -> dict[str, str]:
        """Take one replica's metrics, give those of all that reported lately."""
        now = time.monotonic()
        self._reports[replica] = (now, metrics)
        self._reports = {r: kept for r, kept in self._reports.items() if kept[0] > now - REPORT_FORGOTTEN_S}
        return {replica: text for replica, (_, text) in self._reports.items()}


class SharedDesk(Protocol):
    """How a replica speaks to its desk. Raises `ApiError` 503 when there is none to be reached."""

    async def admit(self, key: str, limits: dict[str, int | None], estimate: int, lasts_s: float) -> int | Refused: ...

    def settle(self, key: str, ticket: int, tokens: int) -> None: ...

    def remember(self, id: str, answer: dict[str, Any]) -> None: ...

    async def recall(self, id: str) -> dict[str, Any] | None: ...

    async def report(self, replica: str, metrics: str) -> dict[str, str]: ...


class LocalDesk:
    """A desk of this process alone."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.settle = desk.settle
        self.remember = desk.remember

    async def admit(self, key: str, limits: dict[str, int | None], estimate: int, lasts_s: float) -> int | Refused:
        """See `Desk`."""
        return self._desk.admit(key, limits, estimate, lasts_s)

    async def recall(self, id: str) -> dict[str, Any] | None:
        """See `Desk`."""
        return self._desk.recall(id)

    async def report(self, replica: str, metrics: str) -> dict[str, str]:
        """See `Desk`."""
        return self._desk.report(replica, metrics)


class RemoteDesk:
    """The desk of all replicas, behind a Serve handle."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle

    async def admit(self, key: str, limits: dict[str, int | None], estimate: int, lasts_s: float) -> int | Refused:
        """See `Desk`."""
        found: int | Refused = await self._ask("admit", key, limits, estimate, lasts_s)
        return found

    def settle(self, key: str, ticket: int, tokens: int) -> None:
        """See `Desk`. Nobody waits for it."""
        self._handle.settle.remote(key, ticket, tokens)

    def remember(self, id: str, answer: dict[str, Any]) -> None:
        """See `Desk`. Nobody waits for it."""
        self._handle.remember.remote(id, answer)

    async def recall(self, id: str) -> dict[str, Any] | None:
        """See `Desk`."""
        found: dict[str, Any] | None = await self._ask("recall", id)
        return found

    async def report(self, replica: str, metrics: str) -> dict[str, str]:
        """See `Desk`."""
        found: dict[str, str] = await self._ask("report", replica, metrics)
        return found

    async def _ask(self, method: str, *arguments: Any) -> Any:
        try:
            async with asyncio.timeout(ANSWER_S):
                return await getattr(self._handle, method).remote(*arguments)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            raise unavailable("limits cannot be checked at the moment", code="desk_unavailable") from error
