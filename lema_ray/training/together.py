"""What the workers of one training tell one another: how many they are, what each brought, and that one refuses.

`loop`, `settings`, `on_ray.training_worker` and `on_ray.training_checkpoints` call this.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from lema_ray.errors import LemaError

T = TypeVar("T")


def workers_there() -> int:
    """How many workers this one trains with, itself included."""
    from torch import distributed

    return distributed.get_world_size() if distributed.is_initialized() else 1


def together(work: Callable[[], T]) -> T:
    """Run on every worker; when one of them refuses, all do, so that none waits for it in the next collective."""
    result, refusal = None, None
    try:
        result = work()
    except LemaError as error:
        refusal = str(error)
    refusals = [r for r in gathered(refusal) if r]
    if refusals:
        raise LemaError(refusals[0])
    return result  # type: ignore[return-value]


def gathered(mine: T) -> list[T]:
    """What every worker brought, in the order of their ranks; it is also where they wait for one another."""
    from torch import distributed

    everyone: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(everyone, mine)
    return everyone
