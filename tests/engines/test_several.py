"""Several endpoints for one role."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from fake_endpoint import FakeEndpoint, failing

from lema_ray.config import OpenAISpec
from lema_ray.engines import EngineUnavailable, open_engine
from lema_ray.engines.several import SeveralEngines
from lema_ray.records import Message, Sampling

HELLO = [Message("user", "Hello there")]


async def opened(one: FakeEndpoint, other_url: str, **more: Any) -> SeveralEngines:
    spec = OpenAISpec(model="babbler", base_url=one.url, others=[{"base_url": other_url}], max_retries=0, **more)
    engine = open_engine(spec)
    assert isinstance(engine, SeveralEngines)
    await engine.start()
    return engine


async def ask(engine: SeveralEngines, count: int) -> None:
    await asyncio.gather(*(engine(HELLO, Sampling(max_tokens=4)) for _ in range(count)))


async def test_the_work_is_spread_and_one_that_fails_is_left_out() -> None:
    with FakeEndpoint(delay_s=0.05) as one, FakeEndpoint(delay_s=0.05) as other:
        engine = await opened(one, other.url)
        await ask(engine, 40)
        assert len(one.requests) == len(other.requests) == 20
        one.faults = [failing(401)] * 30
        await ask(engine, 40)
        assert len(other.requests) >= 60, "what the first refused went to the second"
        asked = len(one.requests)
        await ask(engine, 10)
        assert len(one.requests) == asked
        other.faults = [failing(401)] * 30
        with pytest.raises(EngineUnavailable):
            await ask(engine, 1)
        await engine.close()


async def test_a_fallback_is_used_when_the_first_is_gone() -> None:
    with FakeEndpoint() as one, FakeEndpoint() as other:
        engine = await opened(one, other.url, use="fallback")
        await ask(engine, 10)
        assert (len(one.requests), len(other.requests)) == (10, 0)
        one.faults = [failing(403)]
        await ask(engine, 1)
        assert len(other.requests) == 1
        await engine.close()


async def test_each_has_limits_of_its_own() -> None:
    spec = OpenAISpec(
        model="a",
        limits={"requests_per_minute": 5},
        others=[{"api_key_env": "SECOND_KEY", "model": "b", "limits": {"concurrency": 3}}],
    )
    first, second = spec.endpoints
    assert (first.model, first.limits.requests_per_minute, first.api_key_env) == ("a", 5, "OPENAI_API_KEY")
    assert (second.model, second.limits.requests_per_minute, second.limits.concurrency) == ("b", None, 3)
    assert second.api_key_env == "SECOND_KEY" and not second.others
    with pytest.raises(ValueError, match="batch has one endpoint"):
        OpenAISpec(model="a", batch={}, others=[{}])


async def test_one_of_two_is_enough_to_start() -> None:
    with FakeEndpoint() as one:
        engine = await opened(one, "http://127.0.0.1:9/v1")
        await ask(engine, 3)
        await engine.close()
    with FakeEndpoint() as gone:
        url = gone.url
    spec = OpenAISpec(model="babbler", base_url=url, others=[{"base_url": "http://127.0.0.1:9/v1"}])
    with pytest.raises(EngineUnavailable, match="cannot be reached"):
        await open_engine(spec).start()
