"""The Batch API against a server that speaks it: partial results, expired and failed lines, killed runs."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from lema_ray.config import OpenAISpec
from lema_ray.demo.faults import parse_faults
from lema_ray.demo.server import ServerOptions, running
from lema_ray.demo.word_problems import generate
from lema_ray.engines import EngineUnavailable, RequestRefused, open_engine
from lema_ray.engines.batch import BatchEngine
from lema_ray.records import Completion, Message, Question, Sampling
from lema_ray.runs import RunFolder

QUESTIONS = [problem.question for problem in generate(40, 3)]


@asynccontextmanager
async def opened(url: str, run: RunFolder | None = None, **more: Any) -> AsyncIterator[BatchEngine]:
    batch = {"gather_s": 0.1, "poll_s": 0.05, **more}
    engine = open_engine(OpenAISpec(model="rule-based-teacher", base_url=url, batch=batch), None, run)
    assert isinstance(engine, BatchEngine)
    await engine.start()
    try:
        yield engine
    finally:
        await engine.close()


async def ask(engine: BatchEngine, question: Question) -> Completion:
    return await engine([Message("user", question.text)], Sampling(temperature=0.0, max_tokens=400))


async def ask_all(engine: BatchEngine) -> list[Any]:
    return await asyncio.gather(*(ask(engine, q) for q in QUESTIONS), return_exceptions=True)


def lines(url: str) -> dict[str, int]:
    return dict(json.load(urllib.request.urlopen(url.replace("/v1", "/stats")))["outcomes"])


async def test_many_calls_are_few_batches_and_each_gets_its_own_answer(tmp_path: Path) -> None:
    run = RunFolder(str(tmp_path))
    with running(ServerOptions(batch_s=0.2)) as url:
        async with opened(url, run, max_requests=30) as engine:
            answers = await ask_all(engine)
        assert [a.text for a in answers] == [q.solution for q in QUESTIONS]
        assert lines(url) == {"batch ok": 40} and len(run.files("paid", "batches")) == 2


async def test_the_same_call_twice_is_two_samples() -> None:
    with running(ServerOptions(batch_s=0.1)) as url:
        async with opened(url) as engine:
            await asyncio.gather(*(ask(engine, QUESTIONS[0]) for _ in range(3)))
        assert lines(url) == {"batch ok": 3}


async def test_expired_and_failed_lines_are_asked_again_and_nothing_else_is() -> None:
    options = ServerOptions(batch_s=0.1, batch_expired=0.2, faults=parse_faults("rate_500=0.2"), seed=5)
    with running(options) as url:
        async with opened(url) as engine:
            answers = await ask_all(engine)
        assert [a.text for a in answers] == [q.solution for q in QUESTIONS]
        assert lines(url)["batch ok"] == 40 and lines(url)["batch rate_500"] > 3


async def test_a_line_that_always_fails_is_refused_with_what_was_said() -> None:
    with running(ServerOptions(batch_s=0.05, faults=parse_faults("rate_503=1"))) as url:
        async with opened(url) as engine:
            with pytest.raises(RequestRefused, match="endpoint_error: None: The server had an error"):
                await ask(engine, QUESTIONS[0])


async def test_useless_answers_have_their_reasons_and_their_price() -> None:
    for fault, reason in (("empty", "empty_reply"), ("refusal", "content_filter"), ("huge", "reply_too_long")):
        with running(ServerOptions(batch_s=0.05, faults=parse_faults(f"{fault}=1"))) as url:
            async with opened(url) as engine:
                with pytest.raises(RequestRefused, match=reason) as refused:
                    await ask(engine, QUESTIONS[0])
                assert refused.value.completion is not None and refused.value.completion.prompt_tokens > 0


async def test_a_killed_run_picks_its_batches_up(tmp_path: Path) -> None:
    run = RunFolder(str(tmp_path))
    with running(ServerOptions(batch_s=1.5)) as url:
        async with opened(url, run) as engine:
            waiting = asyncio.create_task(ask_all(engine))
            while (
                not (notes := run.files("paid", "batches")) or not run.read_json("paid", "batches", notes[0])["batch"]
            ):
                await asyncio.sleep(0.02)
            waiting.cancel()
        async with opened(url, run) as engine:
            answers = await ask_all(engine)
        assert [a.text for a in answers] == [q.solution for q in QUESTIONS]
        assert lines(url) == {"batch ok": 40}, "submitted once"
        # As if the kill had come before the endpoint's reply to the submission was noted.
        note = run.read_json("paid", "batches", notes[0])
        run.write_json(note | {"batch": None}, "paid", "batches", notes[0])
        async with opened(url, run) as engine:
            await ask_all(engine)
        assert lines(url) == {"batch ok": 40}
        # And before the endpoint ever saw it.
        run.write_json(note | {"batch": None, "submission": "never"}, "paid", "batches", notes[0])
        async with opened(url, run) as engine:
            await ask_all(engine)
        assert lines(url) == {"batch ok": 80}


async def test_a_batch_that_is_not_taken_stops_the_run() -> None:
    with running(ServerOptions()) as url:
        async with opened(url) as engine:
            with pytest.raises(EngineUnavailable, match="did not take batch batch_1"):
                await engine([Message("user", "x")], Sampling(max_tokens=-1))


async def test_a_batch_that_the_endpoint_has_forgotten_stops_the_run_and_says_which(tmp_path: Path) -> None:
    run = RunFolder(str(tmp_path))
    with running(ServerOptions(batch_s=0.05)) as url:
        async with opened(url, run) as engine:
            await ask(engine, QUESTIONS[0])
    with running(ServerOptions()) as url:
        async with opened(url, run) as engine:
            with pytest.raises(EngineUnavailable, match="batch batch_1 cannot be read"):
                await ask(engine, QUESTIONS[0])
