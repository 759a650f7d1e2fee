"""Ask each endpoint of a run a few of the run's own prompts, to see what calls come to. Called by `plan.estimate`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lema_ray.config import OpenAISpec
from lema_ray.engines import Engine, RequestRefused, open_engine
from lema_ray.planning.plan import Asking, Probed
from lema_ray.records import Completion, Message

if TYPE_CHECKING:
    from lema_ray.records import Sampling


def probe(asked: Sequence[Asking], count: int) -> dict[str, Probed]:
    """What `count` calls of each endpoint's stage took, by stage. Raises `EngineUnavailable`."""
    endpoints = [a for a in asked if isinstance(a.engine, OpenAISpec) and a.prompts]
    seen = {asking.stage: asyncio.run(_probe(asking, count)) for asking in endpoints}
    return {stage: one for stage, one in seen.items() if one is not None}


async def _probe(asking: Asking, count: int) -> Probed | None:
    engine = open_engine(asking.engine.model_copy(update={"batch": None}))
    await engine.start()
    try:
        sampling = asking.sampling.with_seed(0)
        made = await asyncio.gather(*(_call(engine, prompt, sampling) for prompt in asking.prompts[:count]))
    finally:
        await engine.close()
    answers = [one for one in made if one is not None]
    if not answers:
        return None
    prompts, completions, seconds = zip(*answers, strict=True)
    return Probed(_least_and_most(prompts), _least_and_most(completions), _least_and_most(seconds))


async def _call(engine: Engine, prompt: Sequence[Message], sampling: Sampling) -> tuple[int, int, float] | None:
    start = time.monotonic()
    try:
        completion: Completion | None = await engine(prompt, sampling)
    except RequestRefused as refusal:
        completion = refusal.completion
    if completion is None:
        return None
    return completion.prompt_tokens, completion.completion_tokens, time.monotonic() - start


def _least_and_most(values: Sequence[float]) -> tuple[float, float]:
    return min(values), max(values)
