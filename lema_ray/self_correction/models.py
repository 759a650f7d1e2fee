"""Who takes part when a model corrects itself, and the two seams for those who judge its solutions.

Filled by evaluation and by the server; a trained critic or verifier plugs in here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

from lema_ray.engines import Generate
from lema_ray.self_correction.critic import AskedCritic, Critique
from lema_ray.self_correction.streams import Streaming
from lema_ray.self_correction.verifier import AskedVerifier


class Critic(Protocol):
    """Goes through a solution step by step."""

    async def __call__(self, question: str, solution: str, ask: Generate) -> Critique | None:
        """The critique, None when there is none to be had. `ask` asks the adviser, counted and within the bounds."""
        ...


class Verifier(Protocol):
    """Says how likely a solution is wrong."""

    async def __call__(self, question: str, solution: str, ask: Generate) -> float | None:
        """The probability of being wrong, 0 to 1, None when there is none to be had. `ask` as for a `Critic`."""
        ...


Oracle = Callable[[str], Awaitable[bool]]
"""Whether a solution is right, by the reference: for evaluation only."""


@dataclass(frozen=True, slots=True)
class Models:
    """`solver` writes drafts, `reviser` revisions, `adviser` is asked about solutions; the solver does what is left.

    `threshold` is the probability of being wrong from which on `verify` revises where the policy sets none.
    """

    solver: Streaming
    reviser: Streaming | None = None
    adviser: Streaming | None = None
    critic: Critic = field(default_factory=AskedCritic)
    verifier: Verifier = field(default_factory=AskedVerifier)
    threshold: float = 0.5
    oracle: Oracle | None = None
