"""What only the vLLM engine does: other weights in a running engine, adapters, schemas, and dying."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from safetensors.numpy import save_file
from tiny_model import HIDDEN, LAYERS, save_tiny_model

from lema_ray.config import VLLMSpec
from lema_ray.engines import EngineUnavailable, RequestRefused
from lema_ray.engines.vllm import VLLMEngine
from lema_ray.records import Message, Sampling

pytestmark = pytest.mark.vllm

QUESTION = [Message("user", "Tom has 12 apples and buys 7 more. How many?")]
GREEDY = Sampling(temperature=0.0, max_tokens=24)


@asynccontextmanager
async def opened(model: Path, **settings: Any) -> AsyncIterator[VLLMEngine]:
    engine = VLLMEngine(VLLMSpec(**{"model": str(model), "cpu_kv_cache_gb": 0.25} | settings))
    await engine.start()
    try:
        yield engine
    finally:
        await engine.close()


async def answers(engine: VLLMEngine) -> list[str]:
    questions = [[Message("user", f"What is {n} + 1?")] for n in range(4)]
    return [completion.text for completion in await asyncio.gather(*(engine(q, GREEDY) for q in questions))]


@pytest.mark.parametrize("tied", [True, False])
async def test_reloaded_weights_answer_like_a_fresh_engine(tmp_path: Path, tied: bool) -> None:
    first, second = (save_tiny_model(tmp_path / str(seed), seed=seed, tied=tied) for seed in (1, 2))
    async with opened(first) as engine:
        before = await answers(engine)
        await engine.reload(str(second))
        reloaded = await answers(engine)
        assert (await engine(QUESTION, GREEDY)).model == str(second)
        await engine.reload(str(first))
        assert await answers(engine) == before
    async with opened(second) as fresh:
        assert await answers(fresh) == reloaded != before


async def test_weights_that_do_not_fit_are_refused_and_the_engine_goes_on(tiny_model: Path, tmp_path: Path) -> None:
    other = save_tiny_model(tmp_path / "other", seed=1, vocabulary=300)
    async with opened(tiny_model) as engine:
        before = await answers(engine)
        with pytest.raises(EngineUnavailable, match="vocab_size"):
            await engine.reload(str(other))
        running = asyncio.create_task(engine(QUESTION, GREEDY))
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="1 requests are in flight"):
            await engine.reload(str(tiny_model))
        assert (await running).model == str(tiny_model)
        assert await answers(engine) == before


async def test_an_adapter_of_rank_64_changes_the_answers(tiny_model: Path, tmp_path: Path) -> None:
    async with opened(tiny_model) as engine:
        plain = await answers(engine)
    async with opened(tiny_model, lora=str(save_adapter(tmp_path / "zero", scale=0.0))) as engine:
        assert await answers(engine) == plain
    async with opened(tiny_model, lora=str(save_adapter(tmp_path / "some", scale=0.3))) as engine:
        assert await answers(engine) != plain


def save_adapter(folder: Path, scale: float) -> Path:
    """An adapter directory as peft writes it."""
    folder.mkdir()
    config = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": 64, "lora_alpha": 16, "target_modules": ["q_proj"]}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    random, weights = np.random.default_rng(0), {}
    for layer in range(LAYERS):
        name = f"base_model.model.model.layers.{layer}.self_attn.q_proj"
        weights[f"{name}.lora_A.weight"] = random.normal(0, 1, (64, HIDDEN)).astype(np.float32)
        weights[f"{name}.lora_B.weight"] = random.normal(0, 1, (HIDDEN, 64)).astype(np.float32) * np.float32(scale)
    save_file(weights, folder / "adapter_model.safetensors")
    return folder


async def test_requests_that_vllm_cannot_take_do_not_hurt_the_others(tiny_model: Path) -> None:
    step = {"type": "object", "properties": {"step": {"enum": ["one", "two"]}}, "required": ["step"]}
    schema = json.dumps(step | {"additionalProperties": False})
    async with opened(tiny_model) as engine:
        reply = await engine(QUESTION, Sampling(0.0, max_tokens=60, json_schema=schema))
        assert json.loads(reply.text)["step"] in ("one", "two")
        with pytest.raises(RequestRefused, match="bad_request"):
            await engine(QUESTION, Sampling(0.0, json_schema='{"type": 5}'))
        last = await engine([Message("user", "?" * 495)], Sampling(0.0, max_tokens=4000))
        assert last.finish_reason == "length" and last.prompt_tokens + last.completion_tokens == 512


async def test_a_cancelled_request_is_taken_out_of_the_engine(tiny_model: Path) -> None:
    async with opened(tiny_model) as engine:
        driver: Any = engine._driver
        running = asyncio.create_task(engine(QUESTION, Sampling(0.0, max_tokens=400)))
        await asyncio.sleep(0.05)
        assert await driver._ask(lambda inner: inner.get_num_unfinished_requests()) == 1
        running.cancel()
        await asyncio.wait([running])
        assert await driver._ask(lambda inner: inner.get_num_unfinished_requests()) == 0


async def test_when_the_engine_dies_everybody_hears_of_it(tiny_model: Path) -> None:
    async with opened(tiny_model) as engine:
        waiting = [asyncio.create_task(engine(QUESTION, Sampling(0.0, max_tokens=400))) for _ in range(3)]
        await asyncio.sleep(0.05)
        driver: Any = engine._driver
        await driver._ask(lambda inner: setattr(inner, "step", lambda: 1 / 0))
        for failure in await asyncio.gather(*waiting, return_exceptions=True):
            assert isinstance(failure, EngineUnavailable) and "division by zero" in str(failure)
        with pytest.raises(EngineUnavailable, match="division by zero"):
            await engine(QUESTION, GREEDY)


async def test_a_model_that_cannot_be_loaded_says_why(tiny_model: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(tiny_model, broken)
    (broken / "chat_template.jinja").unlink()
    with pytest.raises(EngineUnavailable, match="no chat template"):
        await VLLMEngine(VLLMSpec(model=str(broken))).start()
    with pytest.raises(EngineUnavailable, match="no_such_argument"):
        await VLLMEngine(VLLMSpec(model=str(tiny_model), engine_args={"no_such_argument": 1})).start()
    (broken / "chat_template.jinja").write_text("{{ messages[0].content }}")
    (broken / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(EngineUnavailable, match="cannot load"):
        await VLLMEngine(VLLMSpec(model=str(broken))).start()
    async with opened(tiny_model) as engine:
        assert await answers(engine)


@pytest.mark.timeout(600)
async def test_in_its_own_processes_it_answers_reloads_dies_and_leaves_nothing(tmp_path: Path) -> None:
    first, second = (save_tiny_model(tmp_path / str(seed), seed=seed) for seed in (1, 2))
    async with opened(second) as engine:
        expected = await answers(engine)
    children = set(psutil.Process().children(recursive=True))
    async with opened(first, in_process=False) as engine:
        assert await answers(engine) != expected
        await engine.reload(str(second))
        assert await answers(engine) == expected
        with pytest.raises(RequestRefused, match="bad_request"):
            await engine(QUESTION, Sampling(0.0, json_schema='{"type": 5}'))
        waiting = asyncio.create_task(engine(QUESTION, Sampling(0.0, max_tokens=400)))
        await asyncio.sleep(0.05)
        for process in set(psutil.Process().children(recursive=True)) - children:
            os.kill(process.pid, signal.SIGKILL)
        with pytest.raises(EngineUnavailable, match="died"):
            await waiting
    assert not [p for p in psutil.Process().children(recursive=True) if p not in children and p.status() != "zombie"]
