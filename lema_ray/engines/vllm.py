"""A model in vLLM, held by the process that asks for it, on CPU or GPU.

Opened by `open_engine`; `on_ray` holds one per actor. Two drivers run it: in this process and one thread (default on
CPU, where it starts ten times faster) or vLLM's own processes (default on GPU).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from lema_ray.engines import EngineUnavailable, RequestRefused
from lema_ray.engines.chat_template import ChatTemplate
from lema_ray.engines.vllm_arguments import check_reloadable, engine_arguments, prepare_environment
from lema_ray.models import resolve_model
from lema_ray.records import Completion, Message, Sampling

if TYPE_CHECKING:
    from lema_ray.config import VLLMSpec


class Driver(Protocol):
    """What drives vLLM's engine. `generate` returns vLLM's `RequestOutput`; cancelling it aborts the request."""

    async def start(self) -> int:
        """Load the model; the context length in tokens."""
        ...

    async def generate(self, prompt: list[int], params: Any, lora: Any) -> Any: ...

    async def reload(self, path: str) -> None: ...

    async def close(self) -> None: ...


class VLLMEngine:
    """An `Engine` on vLLM. All calls in flight are decoded together, `spec.max_num_seqs` at a time.

    A completion ends with `length` at `max_tokens` or where the context is full. A prompt that leaves no room for one
    token is refused as `too_long`.
    """

    can_continue = True

    def __init__(self, spec: VLLMSpec) -> None:
        self.spec = spec
        self.model = spec.model
        self.context_length = spec.max_model_len
        self._path = ""
        self._adapter: str | None = None
        self._in_flight = 0
        self._template: ChatTemplate | None = None
        self._driver: Driver | None = None
        self._lora: Any = None

    async def start(self) -> None:
        """Load the tokenizer, then the weights. Raises `EngineUnavailable`. Once only: a closed engine stays closed."""
        self._path = await asyncio.to_thread(_find_model, self.spec.model)
        self._adapter = await asyncio.to_thread(resolve_model, self.spec.lora) if self.spec.lora else None
        prepare_environment(self._path)
        self._template = await asyncio.to_thread(ChatTemplate, self._path)
        try:
            driver = await asyncio.to_thread(self._open_driver)
            self.context_length = await driver.start()
        except EngineUnavailable:
            raise
        except Exception as error:
            raise EngineUnavailable(f"vLLM cannot load {self.model!r}: {type(error).__name__}: {error}") from error
        self._driver = driver

    async def close(self) -> None:
        """End the engine's threads and processes, and give their memory back."""
        driver, self._driver = self._driver, None
        if driver is not None:
            await driver.close()

    async def __call__(self, messages: Sequence[Message], sampling: Sampling) -> Completion:
        """The model's completion. Raises `RequestRefused` for this request, `EngineUnavailable` for all."""
        driver, template = self._started()
        prompt = template.tokens(messages)
        room = (self.context_length or 0) - len(prompt)
        if room < 1:
            raise RequestRefused("too_long", f"{len(prompt)} prompt tokens, context length {self.context_length}")
        params = _sampling_params(sampling, min(room, sampling.max_tokens))
        self._in_flight += 1
        try:
            output = await driver.generate(prompt, params, self._lora)
        finally:
            self._in_flight -= 1
        return self._completion(output, len(prompt))

    async def reload(self, model: str) -> None:
        """Put the weights of another model of the same shape and vocabulary into the running engine.

        Raises `RuntimeError` while requests are in flight, and `EngineUnavailable` for a model of another shape (the
        engine goes on with the old one) or when loading fails half-way (the engine is closed).
        """
        driver, template = self._started()
        if self._in_flight:
            raise RuntimeError(f"{self._in_flight} requests are in flight: their answers would mix two models")
        path = await asyncio.to_thread(_find_model, model)
        other = await asyncio.to_thread(ChatTemplate, path)
        check_reloadable(self._path, path, template, other)
        try:
            await driver.reload(path)
        except Exception as error:
            await self.close()
            raise EngineUnavailable(f"vLLM cannot load {model!r} into the running engine: {error}") from error
        self.model, self._path, self._template = model, path, other

    @property
    def folder(self) -> str:
        """What transformers loads as the same model: the model's directory or hub id, or its adapter's directory."""
        return self._adapter or self._path

    def _started(self) -> tuple[Driver, ChatTemplate]:
        if self._driver is None or self._template is None:
            raise EngineUnavailable(f"the vLLM engine for {self.model!r} is not started, or closed")
        return self._driver, self._template

    def _open_driver(self) -> Driver:
        from vllm.lora.request import LoRARequest
        from vllm.platforms import current_platform

        on_cpu = bool(current_platform.is_cpu())
        arguments = engine_arguments(self.spec, self._path, on_cpu, self._adapter)
        if self._adapter:
            self._lora = LoRARequest("adapter", 1, os.path.abspath(self._adapter))
        if on_cpu if self.spec.in_process is None else self.spec.in_process:
            from lema_ray.engines.vllm_in_process import InProcessDriver

            return InProcessDriver(arguments)
        from lema_ray.engines.vllm_processes import ProcessesDriver

        return ProcessesDriver(arguments)

    def _completion(self, output: Any, prompt_tokens: int) -> Completion:
        best = output.outputs[0]
        if best.finish_reason not in ("stop", "length"):
            raise RequestRefused("engine_error", f"vLLM ended the request with {best.finish_reason!r}")
        return Completion(best.text, best.finish_reason, self.model, prompt_tokens, len(best.token_ids))


def _find_model(name: str) -> str:
    from lema_ray.models import ModelError, check_model

    try:
        path = resolve_model(name)
        check_model(path)
    except ModelError as error:
        raise EngineUnavailable(str(error)) from error
    return path


def _sampling_params(sampling: Sampling, max_tokens: int) -> Any:
    from vllm.sampling_params import RequestOutputKind, SamplingParams, StructuredOutputsParams

    schema = sampling.json_schema
    return SamplingParams(
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        max_tokens=max_tokens,
        stop=list(sampling.stop),
        seed=sampling.seed,
        output_kind=RequestOutputKind.FINAL_ONLY,
        structured_outputs=None if schema is None else StructuredOutputsParams(json=schema),
    )
