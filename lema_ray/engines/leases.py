"""One engine's side of a limiter: calls wait here for a lease, and leases are fetched and settled in batches.

Used by the openai engine. The limiter is in this process (`own_leases`), or an actor that the whole cluster shares.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lema_ray.engines import EngineUnavailable, RequestRefused
from lema_ray.spending.cost import Budget
from lema_ray.spending.limiter import HEARTBEAT_S, Grant, Limiter, Settled, Want
from lema_ray.spending.rates import SLACK_S

if TYPE_CHECKING:
    from lema_ray.config import OpenAISpec

Exchange = Callable[[str, Sequence[Settled], Sequence[Want]], Awaitable[Grant]]
BATCH = 256
PAUSE_S = 0.01
"""Between two exchanges: how long answers and calls gather, and what bounds the rate of calls to the limiter."""


class BudgetReached(EngineUnavailable):
    """The run has spent what it may. Everything is kept; the same command goes on when the budget is raised."""


@dataclass(slots=True)
class _Waiting:
    want: Want
    lease: asyncio.Future[int]


class Leases:
    """Leases for one engine. All calls on the loop that the engine runs on."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._client = uuid.uuid4().hex
        self._waiting: deque[_Waiting] = deque()
        self._settled: list[Settled] = []
        self._open = 0
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def acquire(self, want: Want) -> int:
        """Wait until a request may be sent. Raises `BudgetReached`, or `RequestRefused` if it never may."""
        waiting = _Waiting(want, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._wake()
        return await waiting.lease

    def settle(self, settled: Settled) -> None:
        """Say what became of a lease; the limiter hears it within `PAUSE_S`."""
        self._settled.append(settled)
        self._open -= 1
        self._wake()

    @property
    def waiting(self) -> int:
        """Calls that wait for a lease."""
        return len(self._waiting)

    async def close(self) -> None:
        """Settle what is left and stop asking."""
        while self._settled and self._task is not None and not self._task.done():
            await asyncio.sleep(PAUSE_S)
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def _wake(self) -> None:
        self._news.set()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        while True:
            with suppress(TimeoutError):
                # With leases open the limiter has to hear that we live.
                await asyncio.wait_for(self._news.wait(), HEARTBEAT_S if self._open > 0 else None)
            await asyncio.sleep(PAUSE_S)
            self._news.clear()
            try:
                wait_s = await self._once()
            except Exception as error:
                self._fail(error)
                return
            if self._waiting and not self._news.is_set():
                # Somebody else's answer may make room as well, and nobody tells us of it.
                asyncio.get_running_loop().call_later(max(wait_s, PAUSE_S), self._news.set)

    async def _once(self) -> float:
        settled, self._settled = self._settled, []
        while self._waiting and self._waiting[0].lease.done():  # cancelled while it waited
            self._waiting.popleft()
        asked = [w for w in self._waiting if not w.lease.done()][:BATCH]
        began = time.monotonic()
        grant = await self._exchange(self._client, settled, [w.want for w in asked])
        late = time.monotonic() - began > SLACK_S / 2
        for waiting, lease in zip(asked, grant.leases, strict=False):
            self._open += 1
            self._hand_out(waiting, lease, late)
        self._waiting = deque(w for w in self._waiting if not w.lease.done())
        if grant.stop is not None:
            self._fail(BudgetReached(grant.stop))
        if grant.too_large and self._waiting:
            refused = self._waiting.popleft()
            size = f"{refused.want.input_tokens} input and up to {refused.want.output_tokens} output tokens"
            refused.lease.set_exception(RequestRefused("too_long", f"{size} are more than the limit of a minute"))
        if len(grant.leases) == len(asked) and self._waiting:
            self._news.set()
        return grant.wait_s

    def _hand_out(self, waiting: _Waiting, lease: int, late: bool) -> None:
        """A lease that was long on its way may no longer be used: the minute it was counted in is passing."""
        if late or waiting.lease.done():
            self.settle(Settled(lease, "unsent"))
        else:
            waiting.lease.set_result(lease)

    def _fail(self, error: Exception) -> None:
        for waiting in self._waiting:
            if not waiting.lease.done():
                waiting.lease.set_exception(error)
        self._waiting.clear()


def limiter_for(spec: OpenAISpec, concurrency: int, budget: Budget) -> Limiter:
    """A limiter that knows nothing yet. A batch's requests are all open at once."""
    if spec.batch is None:
        return Limiter(spec.limits, concurrency, budget, time.time)
    limiter = Limiter(spec.limits, 10**9, budget, time.time)
    limiter.slots.limit = 10.0**9
    return limiter


def own_leases(spec: OpenAISpec) -> Leases:
    """Leases of a limiter for this engine alone, without a budget."""
    limiter = limiter_for(spec, spec.limits.concurrency or spec.concurrency, Budget())

    async def exchange(client: str, settled: Sequence[Settled], wants: Sequence[Want]) -> Grant:
        return limiter.exchange(client, settled, wants)

    return Leases(exchange)
