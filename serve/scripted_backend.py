"""A model that is a Python function, behind the real HTTP application: for tests of everything around the model.

Words are tokens and come one at a time. The script is one of the scripted engine's.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

from lema_ray.config import ScriptedSpec
from lema_ray.engines import RequestRefused
from lema_ray.engines.scripted import ScriptedEngine
from lema_ray.records import Completion, Message, Sampling
from serve.backend import Answer
from serve.errors import ApiError, bad_request
from serve.openai_form import message_text, role_of, usage_of
from serve.requests import ChatBody, CompletionBody
from serve.spending import SPENT


class ScriptedBackend:
    """A `Backend` on a scripted engine; `word_s` is how long a word takes."""

    def __init__(self, spec: ScriptedSpec, word_s: float = 0.0) -> None:
        self.name = spec.model
        self.context_length = spec.context_length or 4096
        self.running = 0
        self._engine = ScriptedEngine(spec)
        self._word_s = word_s

    async def start(self) -> None:
        """Find the script."""
        await self._engine.start()

    async def close(self) -> None:
        """Forget the script."""
        await self._engine.close()

    async def check_health(self) -> None:
        """A function is always well."""

    async def models(self) -> list[dict[str, Any]]:
        """The only model."""
        return [{"id": self.name, "object": "model", "created": 0, "owned_by": "lema_ray"}]

    async def chat(self, body: ChatBody, request_id: str) -> Answer:
        """An answer to the messages."""
        messages = [Message(role_of(message.role), message_text(message.content)) for message in body.messages]
        return await self._answer(body, messages, f"chatcmpl-{request_id}", "chat.completion")

    async def completion(self, body: CompletionBody, request_id: str) -> Answer:
        """A continuation of the prompt, which has to be one text."""
        if not isinstance(body.prompt, str):
            raise bad_request("a scripted model takes one text as its prompt", "prompt")
        return await self._answer(body, [Message("user", body.prompt)], f"cmpl-{request_id}", "text_completion")

    async def stream(
        self, model: str, messages: Sequence[Message], sampling: Sampling
    ) -> AsyncIterator[str | Completion]:
        """One generation, word by word."""
        spent = SPENT.get()
        self.running += 1
        try:
            reply = await self._ask(messages, sampling)
            if spent is not None:
                spent.prompt_tokens += reply.prompt_tokens
            for word in re.findall(r"\s*\S+\s*$|\s*\S+", reply.text):
                await asyncio.sleep(self._word_s)
                if spent is not None:
                    spent.completion_tokens += 1
                    spent.texts.append(word)
                yield word
            yield reply
        finally:
            self.running -= 1

    async def _ask(self, messages: Sequence[Message], sampling: Sampling) -> Completion:
        try:
            return await self._engine(messages, sampling)
        except RequestRefused as error:
            raise bad_request(str(error), "messages", "context_length_exceeded") from error

    async def _answer(self, body: ChatBody | CompletionBody, messages: list[Message], id: str, kind: str) -> Answer:
        if body.model not in (None, self.name):
            raise ApiError(404, f"the model {body.model!r} does not exist", "model_not_found", "model")
        stop = (body.stop,) if isinstance(body.stop, str) else tuple(body.stop or ())
        sampling = Sampling(max_tokens=body.output_tokens or self.context_length, stop=stop, seed=body.seed)
        pieces = self.stream(self.name, messages, sampling)
        head = {"id": id, "created": int(time.time()), "model": self.name}
        if body.stream:
            return _events(head, kind, pieces, bool(body.stream_options and body.stream_options.include_usage))
        async for piece in pieces:
            if isinstance(piece, Completion):
                return head | {"object": kind, "choices": [_choice(kind, piece)], "usage": usage_of(piece)}
        raise AssertionError("a stream ends with its completion")


async def _events(
    head: dict[str, Any], kind: str, pieces: AsyncIterator[str | Completion], usage: bool
) -> AsyncIterator[str]:
    chat = kind == "chat.completion"
    head = head | {"object": "chat.completion.chunk" if chat else kind}
    async for piece in pieces:
        text = piece if isinstance(piece, str) else ""
        finish = None if isinstance(piece, str) else piece.finish_reason
        part = {"delta": {"content": text}} if chat else {"text": text}
        choice = {"index": 0, "finish_reason": finish, "logprobs": None, **part}
        yield f"data: {json.dumps(head | {'choices': [choice]})}\n\n"
        if usage and isinstance(piece, Completion):
            yield f"data: {json.dumps(head | {'choices': [], 'usage': usage_of(piece)})}\n\n"
    yield "data: [DONE]\n\n"


def _choice(kind: str, reply: Completion) -> dict[str, Any]:
    said = (
        {"message": {"role": "assistant", "content": reply.text}} if kind == "chat.completion" else {"text": reply.text}
    )
    return {"index": 0, "finish_reason": reply.finish_reason, "logprobs": None, **said}
