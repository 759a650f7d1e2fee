"""Any OpenAI-compatible endpoint as an engine: the openai client on its aiohttp transport.

Opened by `open_engine`. Every request, retries too, goes out under a lease of the endpoint's limiter, which hears of
each 429 and of every limit in a header; the client's own retries would pass it by and are off. The API key is read from
the environment when the engine starts; it is never stored in a record and never appears in a message.
"""

from __future__ import annotations

import asyncio
import difflib
import json
import os
import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from lema_ray.engines import EngineUnavailable, RequestRefused
from lema_ray.engines.leases import Leases, own_leases
from lema_ray.engines.openai_errors import check_failure, explain, is_lost, request_failure, sign_of
from lema_ray.engines.rate_headers import read_told
from lema_ray.records import Completion, FinishReason, Message, Sampling
from lema_ray.spending.cost import price_of
from lema_ray.spending.limiter import Settled, Told, Want

if TYPE_CHECKING:
    import openai
    from openai.types.chat import ChatCompletion

    from lema_ray.config import OpenAISpec

DEFAULT_BASE_URL = "https://api.openai.com/v1"
CHECK_TIMEOUT_S = 30.0
LONGEST_REPLY = 32
"""Characters per token that was asked for: a reply beyond that did not come from a model that heard the limit."""


class TokenEstimate:
    """How many tokens a prompt is at most, learned from what the endpoint counts. Two bytes a token at first."""

    def __init__(self) -> None:
        self._seen = 0
        self._most = 0.0

    def tokens(self, size: int) -> int:
        """An upper bound for a prompt of `size` bytes."""
        return int(size * (self._most * 1.05 if self._seen >= 20 else 0.5)) + 16

    def learn(self, size: int, tokens: int) -> None:
        """What a prompt of `size` bytes was in truth."""
        self._seen += 1
        self._most = max(self._most, (tokens - 16) / max(size, 1))


class OpenAIEngine:
    """An `Engine` behind HTTP. Calls wait for a lease; `leases` None is a limiter for this engine alone."""

    def __init__(self, spec: OpenAISpec, leases: Leases | None = None) -> None:
        self.spec = spec
        self.model = spec.model
        self.context_length = spec.context_length
        self.can_continue = spec.can_continue
        self.base_url = spec.base_url or os.environ.get("OPENAI_BASE_URL") or DEFAULT_BASE_URL
        self._key = ""
        self._price = price_of(spec)
        self._estimate = TokenEstimate()
        self._leases = leases
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
        if self._leases is not None:
            await self._leases.close()

    async def __call__(self, messages: Sequence[Message], sampling: Sampling) -> Completion:
        """The endpoint's completion. Raises `RequestRefused` for this request, `EngineUnavailable` for all."""
        if self._client is None:
            raise EngineUnavailable(f"the engine for {self.base_url} is not started")
        request = self._request(messages, sampling)
        size = sum(len(m.content.encode("utf-8", "replace")) for m in messages)
        for tries_left in range(self.spec.max_retries, -1, -1):
            try:
                return await self._send(request, size, sampling.max_tokens)
            except Exception as error:
                sign = sign_of(error)
                if sign is None or tries_left == 0:
                    raise await self._give_up(error) from None
            if sign != "throttled":  # then the limiter waits, for everybody
                await asyncio.sleep(min(0.5 * 2 ** (self.spec.max_retries - tries_left), 8.0) * random.uniform(0.5, 1))
        raise AssertionError("unreachable")

    async def _send(self, request: dict[str, Any], size: int, max_tokens: int) -> Completion:
        """One request under one lease."""
        assert self._client is not None
        expected = self._estimate.tokens(size)
        lease = await self._leased().acquire(Want(expected, max_tokens, self._price.cost(expected, max_tokens)))
        outcome: Literal["ok", "throttled", "failed", "overrun"] = "failed"
        used, told = (0, 0), None
        try:
            async with asyncio.timeout(self.spec.timeout_s):
                raw = await self._client.chat.completions.with_raw_response.create(**request)
            told = read_told(raw.headers)
            reply = raw.parse()
            used, outcome = usage_of(reply), "ok"
            self._estimate.learn(size, used[0])
        except Exception as error:
            told, outcome = _told_by(error), sign_of(error) or "failed"
            raise
        finally:
            self._leased().settle(Settled(lease, outcome, *used, self._price.cost(*used), told))
        return self._completion(reply, max_tokens)

    async def _give_up(self, error: Exception) -> Exception:
        """What the last failure means. Connections that are lost mean this request, if the endpoint is still there."""
        if isinstance(error, RequestRefused | EngineUnavailable):
            return error
        if is_lost(error):
            try:
                await self._check()
            except EngineUnavailable as unavailable:
                return unavailable
            return RequestRefused("connection_lost", explain(str(error.__cause__ or error), self._key))
        return request_failure(error, self.base_url, self.spec, self._key)

    @property
    def waiting(self) -> str:
        """What its calls wait for."""
        waiting = 0 if self._leases is None else self._leases.waiting
        return f"{waiting} leases of its limits, and else for {self.base_url} to answer"

    def _leased(self) -> Leases:
        if self._leases is None:
            self._leases = own_leases(self.spec)
        return self._leases

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
            max_retries=0,
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

    def _completion(self, reply: ChatCompletion, max_tokens: int) -> Completion:
        choices = getattr(reply, "choices", None)
        if not choices or choices[0].message is None:
            raise RequestRefused("malformed_reply", explain(str(reply), self._key))
        choice, used = choices[0], usage_of(reply)
        # JSON can carry halves of characters, which no file takes.
        text = (choice.message.content or "").encode("utf-8", "replace").decode()
        finish_reason: FinishReason = "length" if choice.finish_reason == "length" else "stop"
        longest = LONGEST_REPLY * max_tokens
        completion = Completion(
            text[:longest], finish_reason, reply.model or self.model, *used, self._price.cost(*used)
        )
        if choice.finish_reason == "content_filter" or choice.message.refusal:
            raise RequestRefused("content_filter", choice.message.refusal or "", completion)
        if not text.strip():
            raise RequestRefused("empty_reply", f"finish reason {choice.finish_reason}", completion)
        if len(text) > longest:
            detail = f"{len(text)} characters where {max_tokens} tokens were asked for"
            raise RequestRefused("reply_too_long", detail, completion)
        return completion


def usage_of(reply: Any) -> tuple[int, int]:
    """Input and output tokens that a reply was charged for; zero where it does not say."""
    usage = getattr(reply, "usage", None)
    return (usage.prompt_tokens or 0, usage.completion_tokens or 0) if usage else (0, 0)


def _told_by(error: Exception) -> Told | None:
    """What a refusal's headers say."""
    response = getattr(error, "response", None)
    return None if response is None else read_told(response.headers)


def _unknown_model(url: str, model: str, known: list[str]) -> str:
    nearest = sorted(known, key=lambda name: -difflib.SequenceMatcher(None, model, name).ratio())
    shown = ", ".join(nearest[:10]) + (f" and {len(nearest) - 10} more" if len(nearest) > 10 else "")
    return f"{url} has no model {model!r}; it has {shown}"
