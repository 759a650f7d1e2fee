"""The model in vLLM, served by vLLM's own OpenAI layer: what `vllm serve` would answer is what this answers.

`init_app_state` is the function with which `vllm serve` sets up chat, completions, adapters and tools; the HTTP
application around it is ours. Held by `replica`, one per process.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import aclosing
from types import SimpleNamespace
from typing import Any

from pydantic import ValidationError

from lema_ray.engines.vllm_arguments import engine_arguments, engine_threads, lora_rank, prepare_environment
from lema_ray.errors import LemaError
from lema_ray.on_ray.deaths import last_words, own_log
from lema_ray.records import Completion, FinishReason, Message, Sampling
from serve.backend import Answer
from serve.config import ServeConfig
from serve.errors import ApiError, bad_request, unavailable
from serve.plain_text import read_as_text
from serve.requests import ChatBody, CompletionBody

FIRST_QUESTION = "Tom has 2 apples and buys 3 more. How many apples does Tom have?"


class VLLMBackend:
    """A `Backend` on vLLM, with the engine in processes of its own as `vllm serve` has it."""

    def __init__(self, config: ServeConfig, path: str, name: str) -> None:
        self.name = name
        self.context_length = 0
        self._config, self._path = config, path
        self._state: Any = None
        self._engine: Any = None

    async def start(self) -> None:
        """Load the model and generate a first answer. Raises `LemaError` for an engine that ends or does not answer."""
        prepare_environment(self._path)
        arguments = self._arguments()
        try:
            self._engine = _build_engine(arguments, self._config.caps.prompt_tokens)
        except RuntimeError as error:
            raise LemaError(f"{self.name}: vLLM does not start with it: {_cause(error)}") from error
        self.context_length = int(self._engine.model_config.max_model_len)
        self._state = await _serving_state(self._engine, arguments)
        chat = self._state.openai_serving_chat
        chat.render_chat_request = read_as_text(chat.render_chat_request, chat.renderer.tokenizer, self.context_length)
        if self._config.caps.output_tokens is not None:
            for serving in (self._state.openai_serving_chat, self._state.openai_serving_completion):
                serving.override_max_tokens = self._config.caps.output_tokens
        await self._first_answer()

    async def close(self) -> None:
        """End the engine's processes."""
        if self._engine is not None:
            self._engine.shutdown()

    async def check_health(self) -> None:
        """Raise when the engine has died."""
        await self._engine.check_health()

    async def models(self) -> list[dict[str, Any]]:
        """The base and its adapters, as vLLM lists them."""
        listed = await self._state.openai_serving_models.show_available_models()
        return [card | {"root": None} for card in listed.model_dump()["data"]]

    async def chat(self, body: ChatBody, request_id: str) -> Answer:
        """`POST /v1/chat/completions`."""
        from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest

        fields = body.model_dump(exclude_unset=True, exclude={"self_correction"}) | {"request_id": request_id}
        request = _validated(ChatCompletionRequest, fields)
        return await self._answer(self._state.openai_serving_chat.create_chat_completion(request))

    async def completion(self, body: CompletionBody, request_id: str) -> Answer:
        """`POST /v1/completions`."""
        from vllm.entrypoints.openai.completion.protocol import CompletionRequest

        request = _validated(CompletionRequest, body.model_dump(exclude_unset=True) | {"request_id": request_id})
        return await self._answer(self._state.openai_serving_completion.create_completion(request))

    async def stream(
        self, model: str, messages: Sequence[Message], sampling: Sampling
    ) -> AsyncIterator[str | Completion]:
        """One generation, rendered by the same layer; it ends with `length` where the context is full."""
        from vllm.utils import random_uuid

        chat = self._state.openai_serving_chat
        request, inputs = await self._rendered(model, messages, sampling)
        room = self.context_length - len(inputs["prompt_token_ids"])
        if room < 1:
            raise bad_request("the prompt leaves no room for an answer", "messages", "context_length_exceeded")
        params = request.to_sampling_params(min(room, sampling.max_tokens), chat.default_sampling_params)
        adapter = chat._maybe_get_adapters(request, supports_default_mm_loras=True)
        outputs = self._engine.generate(inputs, params, random_uuid(), lora_request=adapter)
        texts, tokens, finish = list[str](), 0, "length"
        try:
            async with aclosing(outputs):
                async for output in outputs:
                    piece = output.outputs[0]
                    tokens += len(piece.token_ids)
                    finish = piece.finish_reason or finish
                    if piece.text:
                        texts.append(piece.text)
                        yield piece.text
        except Exception as error:
            raise _refusal(error) from error
        ended: FinishReason = "stop" if finish == "stop" else "length"
        yield Completion("".join(texts), ended, model, len(inputs["prompt_token_ids"]), tokens)

    async def _rendered(self, model: str, messages: Sequence[Message], sampling: Sampling) -> tuple[Any, Any]:
        from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest
        from vllm.entrypoints.serve.engine.protocol import ErrorResponse

        request = _validated(ChatCompletionRequest, _chat_fields(model, messages, sampling))
        try:
            rendered = await self._state.openai_serving_chat.render_chat_request(request)
        except Exception as error:
            raise _refusal(error) from error
        if isinstance(rendered, ErrorResponse):
            raise _api_error(rendered)
        return request, rendered[1][0]

    def _arguments(self) -> Any:
        """`vllm serve`'s arguments: its defaults, then ours, then the config's `engine_args`."""
        from vllm.entrypoints.launchers.cli_args import make_arg_parser
        from vllm.entrypoints.openai.models.protocol import LoRAModulePath
        from vllm.platforms import current_platform
        from vllm.utils.argparse_utils import FlexibleArgumentParser

        arguments = make_arg_parser(FlexibleArgumentParser()).parse_args([])
        spec, on_cpu = self._config.spec, bool(current_platform.is_cpu())
        ours: dict[str, Any] = {"disable_log_stats": False, "served_model_name": [self.name]}
        if on_cpu:
            # The model runs eagerly there; what torch would still compile, at first use, are parts of the sampler, and
            # all requests would wait half a minute for them. The engine's process inherits this.
            os.environ.setdefault("TORCHDYNAMO_DISABLE", "1")
        if self._config.adapters:
            ours |= {"enable_lora": True, "max_lora_rank": max(map(lora_rank, self._config.adapters.values()))}
            ours["lora_modules"] = [LoRAModulePath(name, path) for name, path in self._config.adapters.items()]
        if self._config.tracing:
            ours["otlp_traces_endpoint"] = self._config.tracing
        for name, value in (engine_arguments(spec, self._path, on_cpu) | ours | spec.engine_args).items():
            if not hasattr(arguments, name):
                raise LemaError(f"engine.engine_args.{name}: `vllm serve` has no such argument")
            setattr(arguments, name, value)
        return arguments

    async def _answer(self, call: Awaitable[Any]) -> Answer:
        from vllm.entrypoints.serve.engine.protocol import ErrorResponse

        try:
            result = await call
            if isinstance(result, ErrorResponse):
                raise _api_error(result)
            return result.model_dump() if hasattr(result, "model_dump") else await _begun(result)
        except ApiError:
            raise
        except Exception as error:
            raise _refusal(error) from error

    async def _first_answer(self) -> None:
        """The proof that the model answers. It asks for what vLLM compiles at first use: no user waits for that."""
        message = {"role": "user", "content": FIRST_QUESTION}
        body = ChatBody.model_validate(
            {"messages": [message], "max_tokens": 4, "seed": 1, "logprobs": True, "top_logprobs": 1}
        )
        answer = await self.chat(body, "first-answer")
        if not isinstance(answer, dict) or not answer["usage"]["completion_tokens"]:
            raise LemaError(f"{self.name}: the model was loaded and does not answer")


def _cause(error: RuntimeError) -> str:
    """What ended the engine's process: the last error in this process's log, which is that one's too."""
    said = re.findall(r"\w+Error: .+", last_words(own_log()))
    return next((line for line in reversed(said) if "Engine core" not in line), str(error))


def _build_engine(arguments: Any, prompt_cap: int | None) -> Any:
    os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "1"
    from vllm.engine.arg_utils import AsyncEngineArgs
    from vllm.usage.usage_lib import UsageContext

    from serve.metered_engine import MeteredEngine

    engine_args = AsyncEngineArgs.from_cli_args(arguments)
    config = engine_args.create_engine_config(usage_context=UsageContext.OPENAI_API_SERVER)
    with engine_threads(config):
        engine = MeteredEngine.from_vllm_config(
            vllm_config=config, usage_context=UsageContext.OPENAI_API_SERVER, disable_log_stats=False
        )
    engine.prompt_cap = prompt_cap
    return engine


async def _serving_state(engine: Any, arguments: Any) -> Any:
    from starlette.datastructures import State
    from vllm.entrypoints.launchers.api_server.app_state import init_app_state

    await engine.reset_mm_cache()
    state = State()
    await init_app_state(engine, state, arguments, await engine.get_supported_tasks())
    return state


def _validated(kind: Any, fields: Mapping[str, Any]) -> Any:
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or None
        raise bad_request(str(first["msg"])[:500], where) from None
    except ValueError as error:
        raise bad_request(str(error)[:500], getattr(error, "parameter", None)) from None


def _chat_fields(model: str, messages: Sequence[Message], sampling: Sampling) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "model": model,
        "messages": [{"role": message.role, "content": message.content} for message in messages],
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "stop": list(sampling.stop),
        "seed": sampling.seed,
        "stream": True,
    }
    if messages[-1].role == "assistant":
        fields |= {"continue_final_message": True, "add_generation_prompt": False}
    if sampling.json_schema is not None:
        schema = {"name": "reply", "schema": json.loads(sampling.json_schema)}
        fields["response_format"] = {"type": "json_schema", "json_schema": schema}
    return fields


async def _begun(events: AsyncIterator[str]) -> AsyncIterator[str]:
    """The stream once its first event is there; an error in that place is raised, not streamed under a 200."""
    first = await anext(events)
    if first.startswith('data: {"error"'):
        await _close(events)
        raise _stream_error(json.loads(first.removeprefix("data: "))["error"])
    return _continued(first, events)


async def _continued(first: str, events: AsyncIterator[str]) -> AsyncIterator[str]:
    try:
        yield first
        async for event in events:
            yield event
    finally:
        await _close(events)


async def _close(events: Any) -> None:
    await events.aclose()


def _stream_error(error: Mapping[str, Any]) -> ApiError:
    return _api_error(SimpleNamespace(error=SimpleNamespace(**error)))


def _api_error(response: Any) -> ApiError:
    error = response.error
    status, message = int(error.code), str(error.message)
    if status >= 500:
        return ApiError(status, message, "engine_error", retry_after_s=2.0 if status == 503 else None)
    if status == 404:
        return ApiError(404, message, "model_not_found", "model")
    too_long = "context length" in message or "max_model_len" in message or "prompt_tokens" in message
    return bad_request(message, error.param, "context_length_exceeded" if too_long else "invalid_value")


def _refusal(error: Exception) -> ApiError:
    from vllm.entrypoints.serve import create_error_response
    from vllm.v1.engine.exceptions import EngineDeadError

    if isinstance(error, EngineDeadError):
        return unavailable("the engine has stopped and is being replaced", 5.0, "engine_unavailable")
    return _api_error(create_error_response(error))
