"""The limiters of a run's endpoints as one actor, which every engine of the cluster leases from. Used by `collect`.

What has been spent is the sum of the paid log; the last minute's leases are saved to the run folder at most a second
apart, before leases are given. So the actor that Ray starts after a death goes on within the limits and the budget.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ray

from lema_ray.config import ActorsConfig, OpenAISpec, RunConfig
from lema_ray.engines.leases import Exchange, Leases, limiter_for
from lema_ray.planning.student import asked_student
from lema_ray.runs import RunFolder
from lema_ray.spending.cost import Budget
from lema_ray.spending.limiter import Grant, Limiter, Settled, Want
from lema_ray.spending.paid import read_paid
from lema_ray.spending.rates import SAVE_S

STATE = "limiter.json"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint of a run and how many actors ask it."""

    spec: OpenAISpec
    actors: int

    @property
    def name(self) -> str:
        """What requests have to share to share limits: the address, the account and the model."""
        return endpoint_name(self.spec)

    def limiter(self, budget: Budget) -> Limiter:
        """A limiter that knows nothing yet."""
        concurrency = self.spec.limits.concurrency or self.spec.concurrency * self.actors
        return limiter_for(self.spec, concurrency, budget)


def endpoint_name(spec: OpenAISpec) -> str:
    """See `Endpoint.name`; the account is the variable that holds its key."""
    return f"{spec.base_url or ''} {spec.api_key_env} {spec.model}"


class Limiters:
    """All limiters of a run, and its budget. Run as an actor by `open_limiters`."""

    def __init__(self, run: RunFolder, endpoints: Sequence[Endpoint], budget: Budget) -> None:
        self._run, self._saved = run, 0.0
        for paid in read_paid(run):
            tokens = paid.completion.prompt_tokens + paid.completion.completion_tokens
            budget.spend(paid.completion.cost, tokens)
        self._limiters = {e.name: e.limiter(budget) for e in endpoints}
        if run.exists(STATE):
            for name, state in run.read_json(STATE).items():
                if name in self._limiters:
                    self._limiters[name].restore(state)

    def exchange(self, endpoint: str, client: str, settled: Sequence[Settled], wants: Sequence[Want]) -> Grant:
        """`Limiter.exchange` of one endpoint."""
        if wants and time.time() - self._saved > SAVE_S:
            self._save()
        return self._limiters[endpoint].exchange(client, settled, wants)

    def _save(self) -> None:
        self._saved = time.time()
        self._run.write_json({name: limiter.state() for name, limiter in self._limiters.items()}, STATE)


def open_limiters(config: RunConfig, run: RunFolder) -> Any:
    """The actor for all endpoints of a run, None when it has none. It ends with its handle."""
    roles: list[tuple[Any, ActorsConfig]] = [(s.engine, s.actors) for s in (*config.students, *config.writers)]
    roles.append((config.corrector.engine, config.corrector.actors))
    if (student := asked_student(config)) is not None and student.engine != config.corrector.engine:
        roles.append((student.engine, config.corrector.actors))  # each actor of the corrector holds it too
    found: dict[str, Endpoint] = {}
    for engine, actors in roles:
        for spec in engine.endpoints if isinstance(engine, OpenAISpec) else ():
            # One endpoint may serve several roles: they share its limits.
            before = found.get(endpoint_name(spec))
            found[endpoint_name(spec)] = Endpoint(spec, actors.max + (before.actors if before else 0))
    if not found:
        return None
    budget = Budget(config.budget.money, config.budget.tokens)
    actor = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(Limiters)
    return actor.remote(run, list(found.values()), budget)


def shared_leases(limiters: Any, spec: OpenAISpec) -> Leases:
    """An engine's leases from the actor."""
    name = endpoint_name(spec)

    async def exchange(client: str, settled: Sequence[Settled], wants: Sequence[Want]) -> Grant:
        grant: Grant = await limiters.exchange.remote(name, client, list(settled), list(wants))
        return grant

    checked: Exchange = exchange
    return Leases(checked)
