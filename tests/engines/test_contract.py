"""What every engine promises, asked of all three with the same questions."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import pytest_asyncio
from fake_endpoint import FakeEndpoint, babble

from lema_ray.config import EngineSpec, OpenAISpec, ScriptedSpec, VLLMSpec
from lema_ray.engines import Engine, EngineUnavailable, RequestRefused, open_engine
from lema_ray.records import Message, Sampling

pytestmark = pytest.mark.asyncio(loop_scope="module")

QUESTION = [Message("system", "Be brief."), Message("user", "Tom has 12 apples and buys 7 more. How many?")]
GREEDY = Sampling(temperature=0.0, max_tokens=40)


def script(messages: list[Message], sampling: Sampling) -> str:
    return babble(" ".join(m.content for m in messages), sampling.seed, sampling.temperature)


@contextmanager
def described(kind: str, tiny_model: Path) -> Iterator[EngineSpec]:
    """The spec of an engine, with what it needs running beside it."""
    if kind == "scripted":
        yield ScriptedSpec(script="test_contract:script", context_length=512)
    elif kind == "vllm":
        yield VLLMSpec(model=str(tiny_model), cpu_kv_cache_gb=0.25)
    else:
        with FakeEndpoint() as endpoint:
            yield OpenAISpec(model="babbler", base_url=endpoint.url, can_continue=True, context_length=512)


KINDS = ["scripted", "openai", pytest.param("vllm", marks=pytest.mark.vllm)]


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=KINDS)
async def engine(request: pytest.FixtureRequest, tiny_model: Path) -> AsyncIterator[Engine]:
    """One engine for all tests of its kind; when it is closed nothing of it may be left."""
    with described(request.param, tiny_model) as spec:
        await asyncio.to_thread(int)  # the loop's own pool of threads is nobody's leak
        threads, children = set(threading.enumerate()), set(psutil.Process().children(recursive=True))
        engine = open_engine(spec)
        with pytest.raises(EngineUnavailable, match="not started"):
            await engine(QUESTION, GREEDY)
        await engine.start()
        yield engine
        await engine.close()
        with pytest.raises(EngineUnavailable):
            await engine(QUESTION, GREEDY)
        left = {t for t in threading.enumerate() if not t.name.startswith(("asyncio", "tqdm"))} - threads
        assert not left, f"threads left: {left}"
        assert not set(psutil.Process().children(recursive=True)) - children


async def test_answers_with_text_model_and_token_counts(engine: Engine) -> None:
    completion = await engine(QUESTION, GREEDY)
    assert completion.text and completion.model == engine.model
    assert completion.prompt_tokens > 8 and 0 < completion.completion_tokens <= 40
    assert engine.context_length == 512


async def test_a_seed_decides_the_answer(engine: Engine) -> None:
    seeds = [1, 1, 2, 3, 4]
    texts = [(await engine(QUESTION, Sampling(1.0, max_tokens=30, seed=seed))).text for seed in seeds]
    assert texts[0] == texts[1]
    assert len(set(texts)) == 4


async def test_a_stop_string_ends_the_text_before_it(engine: Engine) -> None:
    whole = await engine(QUESTION, GREEDY)
    stop = re.findall(r"\w{2}", whole.text)[5]
    stopped = await engine(QUESTION, Sampling(0.0, max_tokens=40, stop=("never said", stop)))
    assert stopped.text == whole.text[: whole.text.index(stop)]
    assert stopped.finish_reason == "stop"


async def test_max_tokens_cuts_and_says_so(engine: Engine) -> None:
    whole = await engine(QUESTION, GREEDY)
    cut = await engine(QUESTION, Sampling(0.0, max_tokens=7))
    assert (cut.finish_reason, cut.completion_tokens) == ("length", 7)
    assert whole.text.startswith(cut.text) and len(cut.text) < len(whole.text)


async def test_200_calls_at_once_get_their_own_answers(engine: Engine) -> None:
    async def ask(number: int) -> str:
        question = [Message("user", f"What is {number} + 1?")]
        return (await engine(question, Sampling(0.7, max_tokens=12, seed=number))).text

    # Their prompts together are more than vLLM takes in one step.
    together = await asyncio.gather(*map(ask, range(200)))
    assert [await ask(n) for n in (0, 77, 199)] == [together[n] for n in (0, 77, 199)]
    assert len(set(together)) > 100


async def test_a_prompt_that_is_too_long_is_refused(engine: Engine) -> None:
    with pytest.raises(RequestRefused) as refused:
        await engine([Message("user", "many apples " * 600)], GREEDY)
    assert refused.value.reason == "too_long"
    assert (await engine(QUESTION, GREEDY)).text


async def test_a_final_assistant_message_is_continued(engine: Engine) -> None:
    assert engine.can_continue
    fresh = await engine(QUESTION, GREEDY)
    begun = [*QUESTION, Message("assistant", "Step 1: 12+7=19\n")]
    continued = await engine(begun, GREEDY)
    assert continued.prompt_tokens > fresh.prompt_tokens - 2
    assert continued.text != fresh.text and not continued.text.startswith("Step 1: 12+7=19")


async def test_a_cancelled_call_does_not_disturb_the_others(engine: Engine) -> None:
    first = asyncio.create_task(engine(QUESTION, Sampling(0.0, max_tokens=400)))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait([first])
    assert (await engine(QUESTION, GREEDY)).text
