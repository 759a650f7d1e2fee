"""One endpoint's limits for the whole cluster: who may send what, and when. No Ray, no I/O: `on_ray.limiter` runs it.

Clients exchange what became of their leases for new ones, in batches (`Limiter.exchange`). A request counts from its
lease on, input tokens as estimated until the true number is known, output tokens as `max_tokens` until the answer is
there, so that no window of 60 s goes over a limit. A 429 pauses everybody for as long as the endpoint asks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from lema_ray.config import LimitsConfig
from lema_ray.spending.cost import Budget
from lema_ray.spending.rates import Concurrency, Meter

IDLE_S = 2.0
"""A client that has not asked for so long has no claim to a share."""
HEARTBEAT_S = 5.0
"""How often a client with open leases is heard of."""
DEAD_S = 4 * HEARTBEAT_S
LONGEST_PAUSE_S = 120.0


@dataclass(frozen=True, slots=True)
class Want:
    """The most that one request may use. `cost` in money."""

    input_tokens: int = 0
    output_tokens: int = 0
    cost: float = 0.0


@dataclass(frozen=True, slots=True)
class Told:
    """What the endpoint's headers said of its limits; None where they said nothing. Times in seconds from now."""

    retry_after: float | None = None
    requests: float | None = None
    requests_left: float | None = None
    requests_reset: float | None = None
    tokens: float | None = None
    tokens_left: float | None = None
    tokens_reset: float | None = None


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of a lease: `ok`, `throttled` (429), `failed`, `overrun` (503, timeout), or `unsent`."""

    lease: int
    outcome: Literal["ok", "throttled", "failed", "overrun", "unsent"]
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float = 0.0
    told: Told | None = None


@dataclass(frozen=True, slots=True)
class Grant:
    """Leases for the first wants of a list, in order, and when to ask again. `stop` says why there will be no more."""

    leases: tuple[int, ...] = ()
    wait_s: float = 0.0
    stop: str | None = None
    too_large: bool = False


@dataclass(slots=True)
class _Open:
    want: Want
    amounts: dict[str, tuple[float, float]]
    at: float
    client: str


@dataclass
class Limiter:
    """The limits of one endpoint. `budget` is shared by all endpoints of a run."""

    limits: LimitsConfig
    concurrency: int
    budget: Budget
    clock: Callable[[], float]
    _open: dict[int, _Open] = field(default_factory=dict)
    _clients: dict[str, float] = field(default_factory=dict)
    _seen: dict[str, float] = field(default_factory=dict)
    _full: bool = False
    _paused_until: float = 0.0
    _throttled: int = 0
    _next: int = 0

    def __post_init__(self) -> None:
        given = {
            "requests": self.limits.requests_per_minute,
            "input": self.limits.input_tokens_per_minute,
            "output": self.limits.output_tokens_per_minute,
            "tokens": self.limits.tokens_per_minute,
        }
        self.meters = {name: Meter(limit) for name, limit in given.items() if limit is not None}
        self.slots = Concurrency(self.concurrency)
        self._next = int(self.clock() * 1000) << 20  # leases of a limiter that died are not mistaken for its own

    @property
    def allowed(self) -> int:
        """Requests that may be in flight now."""
        return int(self.slots.limit)

    @property
    def in_flight(self) -> int:
        """Requests under a lease."""
        return len(self._open)

    @property
    def paused_s(self) -> float:
        """How much longer the endpoint wants everybody to wait."""
        return max(0.0, self._paused_until - self.clock())

    def exchange(self, client: str, settled: Sequence[Settled], wants: Sequence[Want]) -> Grant:
        """Take note of what became of leases, and lease as many of `wants`, in order, as may be sent now."""
        now = self._seen[client] = self.clock()
        self._full = len(self._open) >= 0.8 * int(self.slots.limit)
        for one in settled:
            self._settle(one, now)
        self._lose(now)
        if not wants:
            self._clients.pop(client, None)
            return Grant()
        self._clients[client] = now
        return self._lease(client, wants, now)

    def _lease(self, client: str, wants: Sequence[Want], now: float) -> Grant:
        leases: list[int] = []
        free = self._share(client, now)
        for want in wants:
            wait = self._wait(want, now)
            if math.isinf(wait) and not leases:
                return Grant(too_large=True)
            if wait > 0 or len(leases) >= free:
                return Grant(tuple(leases), min(max(wait, 0.01), 1.0))
            if not self.budget.hold(want.cost, want.input_tokens + want.output_tokens):
                if leases or self.budget.is_open:
                    return Grant(tuple(leases), 0.05)
                return Grant(stop=self.budget.reached())
            leases.append(self._take(want, client, now))
        return Grant(tuple(leases))

    def _share(self, client: str, now: float) -> int:
        """Slots for this client: its fair share, and what others that are waiting do not need for theirs."""
        self._clients = {name: at for name, at in self._clients.items() if now - at < IDLE_S}
        flying = {name: 0 for name in self._clients}
        for one in self._open.values():
            flying[one.client] = flying.get(one.client, 0) + 1
        free = int(self.slots.limit) - len(self._open)
        fair = int(self.slots.limit) / max(len(self._clients), 1)
        for_others = sum(max(0.0, fair - n) for name, n in flying.items() if name in self._clients and name != client)
        own = max(0.0, fair - flying.get(client, 0))
        return max(0, min(free, math.ceil(max(own, free - for_others))))

    def _amounts(self, want: Want) -> dict[str, tuple[float, float]]:
        """What a request adds to each meter at once, and what it holds there until it is answered."""
        both = (float(want.input_tokens), float(want.output_tokens))
        all_of = {"requests": (1.0, 0.0), "input": (both[0], 0.0), "output": (0.0, both[1]), "tokens": both}
        return {name: all_of[name] for name in self.meters}

    def _wait(self, want: Want, now: float) -> float:
        waits = [self._paused_until - now]
        waits += [self.meters[name].wait(sum(amounts), now) for name, amounts in self._amounts(want).items()]
        return max(waits)

    def _take(self, want: Want, client: str, now: float) -> int:
        amounts = self._amounts(want)
        for name, (added, held) in amounts.items():
            meter = self.meters[name]
            meter.add(added, now)
            meter.held += held
            meter.pace(added, now)
        self._next += 1
        self._open[self._next] = _Open(want, amounts, now, client)
        return self._next

    def _settle(self, settled: Settled, now: float) -> None:
        lease = self._open.pop(settled.lease, None)
        if lease:
            self.budget.release(lease.want.cost, lease.want.input_tokens + lease.want.output_tokens)
            self._release(settled, lease, now)
        else:  # of a limiter that died, or of a client that was silent for long
            for name in self.meters.keys() & {"output", "tokens"}:
                self.meters[name].add(settled.output_tokens, now)
        self.budget.spend(settled.cost, settled.input_tokens + settled.output_tokens)
        self._adapt(settled, now, now - lease.at if lease else 0.0)

    def _release(self, settled: Settled, lease: _Open, now: float) -> None:
        sent = settled.outcome != "unsent"
        # Whether a request that failed was counted, and for how much, only the endpoint knows: its input stays.
        used_input = settled.input_tokens if settled.outcome == "ok" else lease.want.input_tokens * sent
        for name, (added, held) in lease.amounts.items():
            meter = self.meters[name]
            true_added = {"requests": float(sent), "output": 0.0}.get(name, float(used_input))
            true_held = float(settled.output_tokens) if held else 0.0
            meter.held -= held
            meter.correct(true_added - added, lease.at, now)
            meter.add(true_held, now)
            meter.pace(true_added + true_held - added, now)

    def _adapt(self, settled: Settled, now: float, latency: float) -> None:
        if settled.told is not None:
            self._listen(settled.told, now)
        if settled.outcome == "ok":
            self._throttled = 0
            if self._full:  # more is tried only while what is allowed is in use
                self.slots.succeeded()
        elif settled.outcome in ("throttled", "overrun"):
            self.slots.congested(now, latency)
        if settled.outcome == "throttled":
            self._pause(settled.told, now)

    def _pause(self, told: Told | None, now: float) -> None:
        """As long as the endpoint asks; where it does not say, longer each time in a row."""
        if told is None or told.retry_after is None:
            if now < self._paused_until:
                return  # sent before the pause began
            self._throttled += 1
            seconds = min(0.5 * 2**self._throttled, 30.0)
        else:
            seconds = told.retry_after
        self._paused_until = max(self._paused_until, now + min(seconds, LONGEST_PAUSE_S))

    def _listen(self, told: Told, now: float) -> None:
        for name, limit in (("requests", told.requests), ("tokens", told.tokens)):
            if limit and name in self.meters:
                self.meters[name].lower(limit)
            elif limit:
                self.meters[name] = Meter(limit)
        for left, reset in ((told.requests_left, told.requests_reset), (told.tokens_left, told.tokens_reset)):
            if left is not None and left <= 0 and reset:
                self._paused_until = max(self._paused_until, now + min(reset, LONGEST_PAUSE_S))

    def _lose(self, now: float) -> None:
        """Leases of clients that died: what they might have used counts as used."""
        dead = {client for client, seen in self._seen.items() if now - seen > DEAD_S}
        if not dead:
            return
        for number, lease in [(n, one) for n, one in self._open.items() if one.client in dead]:
            want = lease.want
            self._settle(Settled(number, "failed", want.input_tokens, want.output_tokens, want.cost), now)
        self._seen = {client: seen for client, seen in self._seen.items() if client not in dead}

    def state(self) -> dict[str, Any]:
        """What a limiter that takes this one's place has to know, as JSON."""
        meters = {name: meter.state() for name, meter in self.meters.items()}
        return {
            "at": self.clock(),
            "meters": meters,
            "concurrency": self.slots.limit,
            "paused_until": self._paused_until,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take the place of a limiter that died. What it may have leased since `state` counts as sent."""
        for name, saved in state["meters"].items():
            if name in self.meters:
                self.meters[name].restore(saved, state["at"])
        self.slots.limit = min(float(self.slots.most), state["concurrency"])
        self._paused_until = state["paused_until"]
