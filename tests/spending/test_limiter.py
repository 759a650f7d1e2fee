"""The limiter against a clock of its own: no window goes over, everybody gets a share, nothing is forgotten."""

from __future__ import annotations

from collections import deque
from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lema_ray.config import LimitsConfig
from lema_ray.spending.cost import Budget
from lema_ray.spending.limiter import HEARTBEAT_S, Grant, Limiter, Settled, Told, Want


class World:
    """A clock, an endpoint that counts what arrives and what it answers, and clients that send at once."""

    def __init__(self, limits: LimitsConfig, concurrency: int = 1000, budget: Budget | None = None) -> None:
        self.now = 1_000_000.0
        self.limits, self.concurrency, self.budget = limits, concurrency, budget or Budget()
        self.arrived: list[tuple[float, str, float]] = []
        self.flying: list[tuple[float, int, Want, int]] = []
        self.limiter = self.fresh()

    def fresh(self) -> Limiter:
        return Limiter(self.limits, self.concurrency, self.budget, lambda: self.now)

    def send(self, client: str, wants: list[Want], rng: Random, latency: float) -> Grant:
        for other, seen in list(self.limiter._seen.items()):
            if self.now - seen > HEARTBEAT_S:
                self.limiter.exchange(other, [], [])
        grant = self.limiter.exchange(client, self.answers(), wants)
        for lease, want in zip(grant.leases, wants, strict=False):
            at = self.now + rng.choice((0.0, 1.0))  # on its way to the endpoint
            done = at + rng.uniform(0, latency)
            used = rng.randint(0, want.output_tokens)
            self.arrived += [(at, "requests", 1), (at, "input", want.input_tokens), (done, "output", used)]
            self.flying.append((done + 0.01, lease, want, used))
        return grant

    def answers(self) -> list[Settled]:
        done = [f for f in self.flying if f[0] <= self.now]
        self.flying = [f for f in self.flying if f[0] > self.now]
        return [Settled(lease, "ok", want.input_tokens, used) for _, lease, want, used in done]

    def fullest_minute(self, kind: str) -> float:
        window: deque[tuple[float, float]] = deque()
        held = most = 0.0
        for at, _, amount in sorted(a for a in self.arrived if a[1] == kind):
            window.append((at, amount))
            held += amount
            while window[0][0] <= at - 60.0:
                held -= window.popleft()[1]
            most = max(most, held)
        return most


LIMITS = st.builds(
    LimitsConfig,
    requests_per_minute=st.none() | st.integers(1, 600),
    input_tokens_per_minute=st.none() | st.integers(100, 30_000),
    output_tokens_per_minute=st.none() | st.integers(200, 30_000),
)


@settings(max_examples=100)
@example(LimitsConfig(input_tokens_per_minute=225), 1, 0.0, 388, True)
@given(LIMITS, st.integers(1, 5), st.floats(0, 90), st.integers(0, 2**31), st.booleans())
def test_no_minute_at_the_endpoint_goes_over_a_limit(
    limits: LimitsConfig, clients: int, latency: float, seed: int, dies: bool
) -> None:
    world, rng = World(limits), Random(seed)
    for step in range(600):
        wants = [Want(rng.randint(1, 100), rng.randint(1, 200)) for _ in range(rng.randint(1, 20))]
        world.send(f"c{rng.randrange(clients)}", wants, rng, latency)
        world.now += rng.choice((0.01, 0.1, 0.5, 2.0))
        if dies and step == 300 and limits.output_tokens_per_minute is None:
            # It is saved, leases for up to a second more, and dies.
            saved = world.limiter.state()
            for _ in range(9):
                world.send("c0", wants, rng, latency)
                world.now += 0.1
            world.limiter = world.fresh()
            world.limiter.restore(saved)
    for kind, limit in (
        ("requests", limits.requests_per_minute),
        ("input", limits.input_tokens_per_minute),
        ("output", limits.output_tokens_per_minute),
    ):
        assert limit is None or world.fullest_minute(kind) <= limit


@pytest.mark.parametrize("clients", [1, 4, 16])
@pytest.mark.parametrize("limits", [{"requests_per_minute": 600}, {"tokens_per_minute": 120_000}])
def test_the_limit_is_used(clients: int, limits: dict[str, float]) -> None:
    world, rng = World(LimitsConfig(**limits)), Random(1)
    start = world.now
    while world.now < start + 300:
        for client in range(clients):
            world.send(f"c{client}", [Want(100, 100)] * 50, rng, latency=2.0)
        world.now += 0.05
    settled = [(at, kind, amount) for at, kind, amount in world.arrived if at < world.now]
    minutes = (world.now - start) / 60
    if "requests_per_minute" in limits:
        used = sum(amount for _, kind, amount in settled if kind == "requests") / 600 / minutes
    else:
        used = sum(amount for _, kind, amount in settled if kind != "requests") / 120_000 / minutes
    assert 0.95 < used <= 1.02


def test_a_pause_holds_for_everybody_and_for_as_long_as_asked() -> None:
    world = World(LimitsConfig())
    lease = world.limiter.exchange("a", [], [Want()]).leases[0]
    world.limiter.exchange("a", [Settled(lease, "throttled", told=Told(retry_after=7.0))], [])
    for _ in range(69):
        world.now += 0.1
        assert not world.limiter.exchange("b", [], [Want()]).leases
    world.now += 0.2
    assert world.limiter.exchange("b", [], [Want()]).leases


def test_without_a_time_pauses_grow_until_something_is_answered() -> None:
    world = World(LimitsConfig())
    waited = []
    for _ in range(4):
        (lease,) = world.limiter.exchange("a", [], [Want()]).leases
        world.limiter.exchange("a", [Settled(lease, "throttled")], [])
        began = world.now
        while not (grant := world.limiter.exchange("a", [], [Want()])).leases:
            world.now += 0.05
        waited.append(round(world.now - began, 1))
        world.limiter.exchange("a", [Settled(grant.leases[0], "unsent")], [])
    assert waited == sorted(waited) and waited[-1] >= 8 * waited[0] - 1


def test_what_the_headers_say_is_believed() -> None:
    world = World(LimitsConfig(requests_per_minute=6000))
    (lease,) = world.limiter.exchange("a", [], [Want()]).leases
    told = Told(requests=60, requests_left=0, requests_reset=3.0)
    world.limiter.exchange("a", [Settled(lease, "ok", told=told)], [])
    assert world.limiter.meters["requests"].limit == 60
    world.now += 2.9
    assert not world.limiter.exchange("a", [], [Want()]).leases
    world.now += 0.2
    assert len(world.limiter.exchange("a", [], [Want()] * 50).leases) <= 2


def test_a_limit_learned_while_requests_are_open_does_not_count_them_back() -> None:
    world = World(LimitsConfig())
    leases = world.limiter.exchange("a", [], [Want(5, 10)] * 20).leases
    told = Told(tokens=100)
    world.limiter.exchange("a", [Settled(lease, "ok", 5, 10, told=told) for lease in leases], [])
    assert world.limiter.meters["tokens"].held == 0
    assert world.limiter.exchange("a", [], [Want(101, 0)]).too_large


def test_concurrency_grows_while_it_helps_and_falls_when_it_hurts() -> None:
    world = World(LimitsConfig(), concurrency=400)

    def round_trip(outcome: str) -> int:
        leases: list[int] = []
        while (grant := world.limiter.exchange("a", [], [Want()] * 100)).leases:
            leases += grant.leases
        world.now += 2.0
        world.limiter.exchange("a", [Settled(lease, outcome) for lease in leases], [])  # type: ignore[arg-type]
        return len(leases)

    grown = [round_trip("ok") for _ in range(6)]
    assert grown[0] == 32 and grown[-1] == 400 and grown[1] == 64
    before, after = round_trip("overrun"), round_trip("ok")
    assert (before, after) == (400, 280), "a whole round trip of failures is one sign"
    assert round_trip("ok") - after in (0, 1, 2), "and then one more each round trip"
    for _ in range(40):
        round_trip("overrun")
    assert world.limiter.slots.limit == 1.0


def test_clients_that_come_later_get_their_share() -> None:
    world, rng = World(LimitsConfig(concurrency=30), concurrency=30), Random(0)
    for step in range(400):
        for client in range(1 if step < 100 else 3):
            world.send(f"c{client}", [Want()] * 100, rng, latency=1.0)
        world.now += 0.05
    flying = {f"c{n}": 0 for n in range(3)}
    for lease in world.limiter._open.values():
        flying[lease.client] += 1
    assert all(7 <= n <= 13 for n in flying.values()), flying


def test_the_leases_of_a_dead_client_come_back() -> None:
    world = World(LimitsConfig(), concurrency=2)
    assert len(world.limiter.exchange("dead", [], [Want()] * 5).leases) == 2
    world.now += 19
    assert not world.limiter.exchange("b", [], [Want()]).leases
    world.now += 2
    assert world.limiter.exchange("b", [], [Want()]).leases


def test_a_client_that_is_heard_of_keeps_its_leases() -> None:
    world = World(LimitsConfig(), concurrency=2)
    leases = world.limiter.exchange("waits", [], [Want(1, 7)] * 2).leases
    for _ in range(100):
        world.now += 10
        world.limiter.exchange("waits", [], [])
        assert not world.limiter.exchange("b", [], [Want()]).leases
    world.limiter.exchange("waits", [Settled(leases[0], "ok")], [])
    assert len(world.limiter.exchange("b", [], [Want()] * 2).leases) == 1


def test_the_budget_is_never_passed_and_says_when_it_is_reached() -> None:
    budget = Budget(money=10.0)
    world, rng = World(LimitsConfig(), budget=budget), Random(3)
    stop = None
    while stop is None:
        grant = world.limiter.exchange("a", [], [Want(10, 10, 0.25)] * 7)
        stop = grant.stop
        assert budget.spent_money + budget.held_money <= 10.0
        settled = [Settled(lease, "ok", 10, 5, rng.choice((0.0625, 0.125))) for lease in grant.leases]
        world.now += 0.1
        world.limiter.exchange("a", settled, [])
    assert 9.75 < budget.spent_money <= 10.0 and "raise the budget" in stop
    budget.money = 11.0
    assert world.limiter.exchange("a", [], [Want(10, 10, 0.25)]).leases
    assert world.limiter.exchange("a", [], [Want(10, 10, 5.0)]).stop is None, "wait for what is open first"


def test_a_token_cap_counts_both_ways() -> None:
    world = World(LimitsConfig(), budget=Budget(tokens=100))
    grant = world.limiter.exchange("a", [], [Want(10, 30)] * 5)
    assert len(grant.leases) == 2
    world.limiter.exchange("a", [Settled(lease, "ok", 10, 30) for lease in grant.leases], [])
    assert "80 of budget.tokens 100" in (world.limiter.exchange("a", [], [Want(10, 30)]).stop or "")
