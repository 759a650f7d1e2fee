"""Any OpenAI-compatible endpoint as an engine: the openai client on its aiohttp transport.

Opened by `open_engine`. Retries, back-off and `Retry-After` are the client's own. The API key is read from the
environment when the engine starts; it is never stored in a record and never appears in a message.
"""

from __future__ import annotations

import asyncio
import difflib
import json
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from lema_ray.engines import EngineUnavailable, RequestRefused
from lema_ray.engines.openai_errors import check_failure, explain, request_failure
from lema_ray.records import Completion, FinishReason, Message, Sampling

if TYPE_CHECKING:
    import openai
    from openai.types.chat import ChatCompletion

    from lema_ray.config import OpenAISpec

DEFAULT_BASE_URL = "https://api.openai.com/v1"
CHECK_TIMEOUT_S = 30.0


class OpenAIEngine:
    """An `Engine` behind HTTP. At most `spec.concurrency` requests are in flight; further calls wait their turn."""

    def __init__(self, spec: OpenAISpec) -> None:
        self.spec = spec
        self.model = spec.model
        self.context_length = spec.context_length
        self.can_continue = spec.can_continue
        self.base_url = spec.base_url or os.environ.get("OPENAI_BASE_URL") or DEFAULT_BASE_URL
        self._key = ""
        self._slots = asyncio.Semaphore(spec.concurrency)
        self._client: openai.AsyncOpenAI | None = None

    async def start(self) -> None:
        """Connect, and ask whether the endpoint takes the key and has the model, before any row depends on it.

        Raises `EngineUnavailable`. Takes the context length from the endpoint where it tells (vLLM does).
        """
        self._key = self._read_key()
        self._client = self._open_client()
        try:
            await self._check()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Close all connections."""
        if self._client is not None:
            await self._client.close()
            self._client = None

    async def __call__(self, messages: Sequence[Message], sampling: Sampling) -> Completion:
        """The endpoint's completion. Raises `RequestRefused` for this request, `EngineUnavailable` for all."""
        if self._client is None:
            raise EngineUnavailable(f"the engine for {self.base_url} is not started")
        request = self._request(messages, sampling)
        async with self._slots:
            try:
                reply = await self._client.chat.completions.create(**request)
            except Exception as error:
                raise request_failure(error, self.base_url, self.spec, self._key) from None
        return self._completion(reply)

    def _read_key(self) -> str:
        key = os.environ.get(self.spec.api_key_env, "").strip()
        if key:
            return key
        if urlsplit(self.base_url).hostname in ("localhost", "127.0.0.1", "::1"):
            return "none-needed"
        raise EngineUnavailable(
            f"no API key for {self.base_url}: set the environment variable {self.spec.api_key_env} "
            "(to anything, if the endpoint needs none)"
        )

    def _open_client(self) -> openai.AsyncOpenAI:
        import httpx2
        import openai

        # The default transport falls to 130 requests a second at 256 in flight; on aiohttp it holds 300.
        connections = httpx2.Limits(
            max_connections=self.spec.concurrency, max_keepalive_connections=self.spec.concurrency
        )
        return openai.AsyncOpenAI(
            api_key=self._key,
            base_url=self.base_url,
            timeout=self.spec.timeout_s,
            max_retries=self.spec.max_retries,
            http_client=openai.DefaultAioHttpClient(limits=connections, timeout=self.spec.timeout_s),
        )

    async def _check(self) -> None:
        import openai

        assert self._client is not None
        client = self._client.with_options(timeout=min(CHECK_TIMEOUT_S, self.spec.timeout_s), max_retries=1)
        try:
            models = (await client.models.list()).data
        except openai.NotFoundError:
            models = []
        except Exception as error:
            raise check_failure(error, self.base_url, self.spec, self._key) from None
        if not models:
            await self._try_one_token(client)
            return
        found = next((m for m in models if m.id == self.model or m.id.endswith(f"/{self.model}")), None)
        if found is None:
            raise EngineUnavailable(_unknown_model(self.base_url, self.model, [m.id for m in models]))
        self.context_length = self.context_length or getattr(found, "max_model_len", None)

    async def _try_one_token(self, client: openai.AsyncOpenAI) -> None:
        """The check for endpoints that do not list their models."""
        request = self._request([Message("user", "1")], Sampling(temperature=1.0, max_tokens=1))
        try:
            await client.chat.completions.create(**request)
        except Exception as error:
            raise check_failure(error, self.base_url, self.spec, self._key) from None

    def _request(self, messages: Sequence[Message], sampling: Sampling) -> dict[str, Any]:
        extra = dict(self.spec.extra_body)
        if messages[-1].role == "assistant":
            if not self.can_continue:
                raise RequestRefused("cannot_continue", f"{self.base_url} answers messages; it does not continue them")
            extra |= {"continue_final_message": True, "add_generation_prompt": False}
        request: dict[str, Any] = {
            "model": self.model,
            "messages": [{"role": message.role, "content": message.content} for message in messages],
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            self._length_key: sampling.max_tokens,
            "extra_body": extra,
        }
        if sampling.stop:
            request["stop"] = list(sampling.stop)
        if sampling.seed is not None:
            request["seed"] = sampling.seed
        if sampling.json_schema is not None and self.spec.structured_output:
            schema = {"name": "reply", "schema": json.loads(sampling.json_schema), "strict": True}
            request["response_format"] = {"type": "json_schema", "json_schema": schema}
        return request

    @property
    def _length_key(self) -> str:
        """OpenAI's newer models refuse the name that every other server knows."""
        return "max_completion_tokens" if urlsplit(self.base_url).hostname == "api.openai.com" else "max_tokens"

    def _completion(self, reply: ChatCompletion) -> Completion:
        choices = getattr(reply, "choices", None)
        if not choices or choices[0].message is None:
            raise RequestRefused("malformed_reply", explain(str(reply), self._key))
        choice, text = choices[0], choices[0].message.content or ""
        used = (reply.usage.prompt_tokens, reply.usage.completion_tokens) if reply.usage else (0, 0)
        finish_reason: FinishReason = "length" if choice.finish_reason == "length" else "stop"
        completion = Completion(text, finish_reason, reply.model or self.model, *used, self._cost(*used))
        if choice.finish_reason == "content_filter" or choice.message.refusal:
            raise RequestRefused("content_filter", choice.message.refusal or "", completion)
        if not text.strip():
            raise RequestRefused("empty_reply", f"finish reason {choice.finish_reason}", completion)
        return completion

    def _cost(self, prompt_tokens: int, completion_tokens: int) -> float:
        prices = self.spec.prices
        return (prompt_tokens * prices.input_per_million + completion_tokens * prices.output_per_million) / 1e6


def _unknown_model(url: str, model: str, known: list[str]) -> str:
    nearest = sorted(known, key=lambda name: -difflib.SequenceMatcher(None, model, name).ratio())
    shown = ", ".join(nearest[:10]) + (f" and {len(nearest) - 10} more" if len(nearest) > 10 else "")
    return f"{url} has no model {model!r}; it has {shown}"
