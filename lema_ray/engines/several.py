"""Several endpoints for one role: keys or servers that share the work, or stand in for one another.

Opened by `open_engine` for a spec with `others`. Each endpoint keeps its own limits; one that cannot serve anybody is
left out for a while, and only when all are out is the role unavailable.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from lema_ray.engines import EngineUnavailable
from lema_ray.engines.leases import BudgetReached
from lema_ray.engines.openai import OpenAIEngine
from lema_ray.records import Completion, Message, Sampling

OUT_S = 60.0
"""How long an endpoint that failed is left out."""


class SeveralEngines:
    """An `Engine` over several endpoints. `fallback`: the first that is there; else the one with the fewest calls."""

    def __init__(self, engines: Sequence[OpenAIEngine], fallback: bool) -> None:
        self._engines, self._fallback = list(engines), fallback
        self._calls = [0] * len(engines)
        self._out_until = [0.0] * len(engines)
        self.model = engines[0].model
        self.context_length = engines[0].context_length
        self.can_continue = all(engine.can_continue for engine in engines)

    async def start(self) -> None:
        """Connect to all. Raises `EngineUnavailable` when none of them can be used."""
        failures = await asyncio.gather(*(engine.start() for engine in self._engines), return_exceptions=True)
        for at, failure in enumerate(failures):
            if isinstance(failure, EngineUnavailable):
                self._out_until[at] = float("inf")
            elif isinstance(failure, BaseException):
                raise failure
        if all(failures):
            raise EngineUnavailable("; ".join(str(failure) for failure in failures))
        known = [e.context_length for e, failed in zip(self._engines, failures, strict=True) if not failed]
        self.context_length = min((length for length in known if length is not None), default=None)

    async def close(self) -> None:
        """Close all connections."""
        await asyncio.gather(*(engine.close() for engine in self._engines))

    async def __call__(self, messages: Sequence[Message], sampling: Sampling) -> Completion:
        """The completion of one of them. Raises as one engine does, `EngineUnavailable` when all are out."""
        while True:
            at = self._choose()
            self._calls[at] += 1
            try:
                return await self._engines[at](messages, sampling)
            except BudgetReached:
                raise
            except EngineUnavailable:
                self._out_until[at] = time.monotonic() + OUT_S
                if not self._present():
                    raise
            finally:
                self._calls[at] -= 1

    def _present(self) -> list[int]:
        now = time.monotonic()
        return [at for at, until in enumerate(self._out_until) if until <= now]

    def _choose(self) -> int:
        present = self._present()
        if not present:
            raise EngineUnavailable(f"all {len(self._engines)} endpoints for {self.model} are unavailable")
        return present[0] if self._fallback else min(present, key=lambda at: self._calls[at])

    @property
    def waiting(self) -> str:
        """What its calls wait for."""
        return "; ".join(engine.waiting for engine in self._engines)
