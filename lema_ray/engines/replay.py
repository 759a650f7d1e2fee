"""A paid engine whose answers are kept: each is in the paid log before it is used, and is never asked for twice.

Used by `on_ray.pools` around every endpoint. An answer belongs to a row of the pipeline: when the row is done again,
after a kill, it is given the same answers at their first price, and only what never arrived is sent.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence

from lema_ray.engines import Engine, Generate, RequestRefused
from lema_ray.records import Completion, Message, Sampling
from lema_ray.spending.paid import Paid, PaidLog, request_key
from lema_ray.spending.paid_index import PaidIndex


class PaidEngine:
    """Hands out one `Generate` per row; all share the engine, the log and the index of what was received before."""

    def __init__(self, engine: Engine, log: PaidLog, index: PaidIndex, stage: str) -> None:
        self.engine, self.log, self.index, self.stage = engine, log, index, stage

    def for_row(self, row: str) -> Generate:
        """The engine as the work on one row sees it."""
        return _RowOfPaid(self, row)


class _RowOfPaid:
    def __init__(self, paid: PaidEngine, row: str) -> None:
        self._paid, self._row = paid, row
        self._asked = Counter[str]()

    async def __call__(self, messages: Sequence[Message], sampling: Sampling) -> Completion:
        key = self._key(messages, sampling)
        if key in self._paid.index:
            received = await asyncio.to_thread(self._paid.index.get, key)
            if received is not None:
                return _replayed(received)
        try:
            completion = await self._paid.engine(messages, sampling)
        except RequestRefused as refusal:
            if refusal.completion is not None:
                await self._keep(Paid(key, self._row, refusal.completion, refusal.reason, refusal.detail))
            raise
        await self._keep(Paid(key, self._row, completion))
        return completion

    async def _keep(self, paid: Paid) -> None:
        if self._paid.log.appends:
            self._paid.log.append(paid)
        else:
            await asyncio.to_thread(self._paid.log.append, paid)

    def _key(self, messages: Sequence[Message], sampling: Sampling) -> str:
        scope, model = (self._paid.stage, self._row), self._paid.engine.model
        first = request_key(scope, model, messages, sampling, 0)
        number = self._asked[first]
        self._asked[first] += 1
        return request_key(scope, model, messages, sampling, number) if number else first


def _replayed(paid: Paid) -> Completion:
    if paid.reason is not None:
        raise RequestRefused(paid.reason, paid.detail, paid.completion)
    return paid.completion
