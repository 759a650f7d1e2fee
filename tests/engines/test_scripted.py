"""The scripted engine: scripts of all kinds, latency, and its own cost."""

from __future__ import annotations

import asyncio
import time

import pytest

from lema_ray.config import ScriptedSpec
from lema_ray.engines import EngineUnavailable, RequestRefused, open_engine
from lema_ray.records import Completion, Message, Sampling

HELLO = [Message("user", "one two  three\nfour")]


def whole(messages: list[Message], sampling: Sampling) -> Completion:
    return Completion("told", "length", "other", 3, 4, cost=0.5)


def refuse(messages: list[Message], sampling: Sampling) -> str:
    raise RequestRefused("content_filter", "not that")


async def test_echo_is_the_default_and_is_cut_like_a_model() -> None:
    engine = open_engine(ScriptedSpec())
    await engine.start()
    assert (await engine(HELLO, Sampling())).text == HELLO[0].content
    cut = await engine(HELLO, Sampling(max_tokens=3))
    assert (cut.text, cut.finish_reason, cut.completion_tokens) == ("one two  three", "length", 3)
    stopped = await engine(HELLO, Sampling(stop=("four", "wo")))
    assert (stopped.text, stopped.finish_reason) == ("one t", "stop")


async def test_a_script_may_return_a_completion_or_refuse() -> None:
    engine = open_engine(ScriptedSpec(script="test_scripted:whole"))
    await engine.start()
    assert await engine(HELLO, Sampling()) == whole(HELLO, Sampling())
    engine = open_engine(ScriptedSpec(script="test_scripted:refuse"))
    await engine.start()
    with pytest.raises(RequestRefused, match="content_filter: not that"):
        await engine(HELLO, Sampling())


@pytest.mark.parametrize("script", ["nothing", "no.such.module:f", "test_scripted:absent"])
async def test_a_script_that_is_not_there_is_named(script: str) -> None:
    with pytest.raises(EngineUnavailable, match=script):
        await open_engine(ScriptedSpec(script=script)).start()


async def test_latency_is_shared_by_the_calls_that_run_at_once() -> None:
    engine = open_engine(ScriptedSpec(latency_s=0.1, concurrency=10))
    await engine.start()
    began = time.monotonic()
    await asyncio.gather(*(engine(HELLO, Sampling()) for _ in range(30)))
    assert 0.29 < time.monotonic() - began < 2.9, "one after the other they take 3 s"
