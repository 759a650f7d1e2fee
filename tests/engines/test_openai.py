"""What an endpoint can do to us, over a real connection."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from fake_endpoint import FakeEndpoint, failing, reply

from lema_ray.config import OpenAISpec, PriceConfig
from lema_ray.engines import EngineUnavailable, RequestRefused
from lema_ray.engines.openai import OpenAIEngine
from lema_ray.records import Message, Sampling

HELLO = [Message("user", "Hello there")]
SAMPLING = Sampling(max_tokens=8)


@pytest.fixture
def endpoint() -> Iterator[FakeEndpoint]:
    with FakeEndpoint() as endpoint:
        yield endpoint


@asynccontextmanager
async def opened(endpoint: FakeEndpoint, **settings: Any) -> AsyncIterator[OpenAIEngine]:
    engine = OpenAIEngine(OpenAISpec(**{"model": "babbler", "base_url": endpoint.url, "max_retries": 1} | settings))
    await engine.start()
    try:
        yield engine
    finally:
        await engine.close()


async def refusal(engine: OpenAIEngine) -> RequestRefused:
    with pytest.raises(RequestRefused) as refused:
        await engine(HELLO, SAMPLING)
    return refused.value


async def test_an_endpoint_that_is_down_is_named_before_sampling() -> None:
    engine = OpenAIEngine(OpenAISpec(model="m", base_url="http://127.0.0.1:9/v1"))
    with pytest.raises(EngineUnavailable, match=r"http://127\.0\.0\.1:9/v1 cannot be reached"):
        await engine.start()


async def test_a_wrong_key_names_the_variable_and_never_the_key(
    endpoint: FakeEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint.key = "right"
    monkeypatch.setenv("MY_KEY", "sk-secret-1234")
    with pytest.raises(EngineUnavailable, match="refused the key in MY_KEY") as unavailable:
        async with opened(endpoint, api_key_env="MY_KEY"):
            pass
    assert "sk-secret" not in str(unavailable.value) and unavailable.value.__suppress_context__
    monkeypatch.setenv("MY_KEY", "right")
    async with opened(endpoint, api_key_env="MY_KEY") as engine:
        assert (await engine(HELLO, SAMPLING)).text


async def test_a_key_is_asked_for_where_the_endpoint_is_not_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    engine = OpenAIEngine(OpenAISpec(model="m", base_url="https://example.invalid/v1", api_key_env="NO_SUCH_KEY"))
    with pytest.raises(EngineUnavailable, match="set the environment variable NO_SUCH_KEY"):
        await engine.start()


async def test_an_unknown_model_lists_the_known_ones_nearest_first(endpoint: FakeEndpoint) -> None:
    endpoint.models = ["zebra", "babbler-2", "org/babbler"]
    with pytest.raises(EngineUnavailable, match="no model 'bablber-2'; it has babbler-2, org/babbler, zebra"):
        async with opened(endpoint, model="bablber-2"):
            pass


async def test_an_endpoint_without_a_list_of_models_is_asked_for_one_token(endpoint: FakeEndpoint) -> None:
    endpoint.models = None
    async with opened(endpoint):
        assert [request["max_tokens"] for request in endpoint.requests] == [1]
    endpoint.faults = [failing(404, "no such model")]
    with pytest.raises(EngineUnavailable, match="does not know model 'babbler'"):
        async with opened(endpoint):
            pass


async def test_429_is_retried_after_the_time_the_endpoint_asks_for(endpoint: FakeEndpoint) -> None:
    endpoint.faults = [failing(429, Retry_After="1.2")]
    async with opened(endpoint) as engine:
        began = time.monotonic()
        assert (await engine(HELLO, SAMPLING)).text
    assert 1.2 <= time.monotonic() - began < 20, "and not as long as a limit's minute"
    assert len(endpoint.requests) == 2


async def test_errors_that_last_refuse_the_row_and_not_the_run(endpoint: FakeEndpoint) -> None:
    async with opened(endpoint) as engine:
        endpoint.faults = [failing(500, "out of order")] * 2
        assert (await refusal(engine)).reason == "endpoint_error"
        endpoint.faults = [failing(429, "slow down", Retry_After="0.1")] * 2
        assert (await refusal(engine)).reason == "endpoint_error"
        assert (await engine(HELLO, SAMPLING)).text


async def test_a_connection_that_is_always_lost_refuses_the_row_while_the_endpoint_is_there() -> None:
    with FakeEndpoint() as endpoint:
        async with opened(endpoint) as engine:
            endpoint.faults = ["disconnect"]
            assert (await engine(HELLO, SAMPLING)).text
            endpoint.faults = ["disconnect"] * 2
            assert (await refusal(engine)).reason == "connection_lost"
            endpoint.__exit__()
            with pytest.raises(EngineUnavailable, match="cannot be reached"):
                await engine(HELLO, SAMPLING)
        endpoint.__enter__()


async def test_a_reply_that_takes_too_long_refuses_the_row(endpoint: FakeEndpoint) -> None:
    async with opened(endpoint, timeout_s=0.3, max_retries=0) as engine:
        endpoint.delay_s = 1
        assert (await refusal(engine)).reason == "timeout"


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (failing(400, "too many", "context_length_exceeded"), "too_long"),
        (failing(400, "The prompt (length 900) is longer than the maximum model length of 512."), "too_long"),
        (failing(400, "Unknown parameter: seed"), "bad_request"),
        (failing(400, "flagged", "content_filter"), "content_filter"),
        (lambda: reply("half a", "content_filter"), "content_filter"),
        (lambda: reply(None), "empty_reply"),
        (lambda: reply(" \n"), "empty_reply"),
        (lambda: web.json_response({"choices": []}), "malformed_reply"),
        (lambda: web.Response(text="<html>", content_type="text/html"), "malformed_reply"),
        (lambda: reply("word " * 100), "reply_too_long"),
    ],
)
async def test_what_is_wrong_with_one_request_is_its_reason(endpoint: FakeEndpoint, fault: Any, reason: str) -> None:
    async with opened(endpoint) as engine:
        endpoint.faults = [fault]
        assert (await refusal(engine)).reason == reason


@pytest.mark.parametrize(
    "fault", [failing(401), failing(403), failing(404), failing(429, "pay", "insufficient_quota", Retry_After="0.01")]
)
async def test_what_no_request_survives_stops_the_run(endpoint: FakeEndpoint, fault: Any) -> None:
    async with opened(endpoint, max_retries=0) as engine:
        endpoint.faults = [fault]
        with pytest.raises(EngineUnavailable):
            await engine(HELLO, SAMPLING)


async def test_cost_follows_the_prices_also_for_a_useless_reply(endpoint: FakeEndpoint) -> None:
    prices = PriceConfig(input_per_million=2.0, output_per_million=10.0)
    async with opened(endpoint, prices=prices) as engine:
        endpoint.faults = [lambda: reply("ok", used=(1000, 50)), lambda: reply("", used=(1000, 50))]
        assert (await engine(HELLO, SAMPLING)).cost == pytest.approx(0.0025, abs=1e-10)
        charged = (await refusal(engine)).completion
        assert charged is not None and charged.cost == pytest.approx(0.0025, abs=1e-10)


async def test_half_a_reply_is_asked_for_again(endpoint: FakeEndpoint) -> None:
    def half() -> web.Response:
        return web.Response(text="{", content_type="application/json")

    async with opened(endpoint) as engine:
        endpoint.faults = [half]
        assert (await engine(HELLO, SAMPLING)).text
        endpoint.faults = [half, half]
        assert (await refusal(engine)).reason == "malformed_reply"


async def test_half_characters_do_not_get_through(endpoint: FakeEndpoint) -> None:
    async with opened(endpoint) as engine:
        endpoint.faults = [lambda: reply("a\ud800b\x00")]
        assert (await engine(HELLO, SAMPLING)).text == "a?b\x00"


async def test_a_limit_in_a_header_slows_everything_down(endpoint: FakeEndpoint) -> None:
    def told() -> web.Response:
        answer = reply("ok")
        answer.headers["x-ratelimit-limit-requests"] = "600"
        return answer

    async with opened(endpoint, concurrency=100) as engine:
        endpoint.faults = [told]
        await engine(HELLO, SAMPLING)
        began = time.monotonic()
        await asyncio.gather(*(engine(HELLO, SAMPLING) for _ in range(30)))
        # 600 a minute are ten a second, of which one second may be run ahead.
        assert 1.5 < time.monotonic() - began < 20


async def test_a_final_assistant_message_is_refused_where_it_cannot_be_continued(endpoint: FakeEndpoint) -> None:
    begun = [*HELLO, Message("assistant", "Well,")]
    async with opened(endpoint) as engine:
        with pytest.raises(RequestRefused, match="cannot_continue"):
            await engine(begun, SAMPLING)
        assert not endpoint.requests
    async with opened(endpoint, can_continue=True) as engine:
        await engine(begun, SAMPLING)
    sent = endpoint.requests[-1]
    assert sent["continue_final_message"] is True and sent["add_generation_prompt"] is False


async def test_a_schema_is_sent_where_the_spec_says_so(endpoint: FakeEndpoint) -> None:
    schema = {"type": "object", "properties": {"answer": {"type": "string"}}}
    sampling = Sampling(max_tokens=8, json_schema=json.dumps(schema))
    async with opened(endpoint, extra_body={"top_k": 5}) as engine:
        await engine(HELLO, sampling)
    async with opened(endpoint, structured_output=True) as engine:
        await engine(HELLO, sampling)
    plain, structured = endpoint.requests
    assert "response_format" not in plain and plain["top_k"] == 5
    assert structured["response_format"]["json_schema"]["schema"] == schema


async def test_no_more_requests_are_in_flight_than_allowed(endpoint: FakeEndpoint) -> None:
    endpoint.delay_s = 0.02
    async with opened(endpoint, concurrency=5) as engine:
        await asyncio.gather(*(engine(HELLO, SAMPLING) for _ in range(40)))
    assert endpoint.most_in_flight == 5
