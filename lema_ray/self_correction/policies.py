"""The policies by name, and `correct_itself`, which runs one of them.

Called by evaluation and by the server, so that what is measured is what is served.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from lema_ray.config import Policy, PolicyName
from lema_ray.records import Sampling
from lema_ray.self_correction.answering import Answering, Ended
from lema_ray.self_correction.critique import critique
from lema_ray.self_correction.events import Event
from lema_ray.self_correction.models import Models
from lema_ray.self_correction.problem import Problem
from lema_ray.self_correction.revise import revise
from lema_ray.self_correction.spontaneous import off, spontaneous
from lema_ray.self_correction.verify import verify
from lema_ray.self_correction.vote import vote

POLICIES: dict[PolicyName, Callable[[Answering], AsyncGenerator[Event, None]]] = {
    "off": off,
    "spontaneous": spontaneous,
    "revise": revise,
    "critique": critique,
    "verify": verify,
    "vote": vote,
}


async def correct_itself(
    policy: Policy, problem: Problem, sampling: Sampling, models: Models
) -> AsyncGenerator[Event, None]:
    """What happens while a model answers under a policy, as it happens; the last event is the `Trace`.

    `sampling.max_tokens` bounds every single reply, `policy` the answer as a whole. Whatever models reply, however they
    are cut off, refuse or take too long: it ends with the best answer so far and a stop reason. Raises nothing but
    `EngineUnavailable`. Closing the iterator ends all requests at once.
    """
    run = Answering(policy, problem, sampling, models)
    refusal = None
    try:
        async with aclosing(POLICIES[policy.policy](run)) as events:
            async for event in events:
                yield event
    except Ended as end:
        run.stop_reason, refusal = end.reason, end.detail
    finally:
        await run.close()
    yield run.trace(refusal)
