"""Chat completion requests and replies in the OpenAI format, answered by a teacher. Used by `server` alone.

Usage counts words and punctuation marks, not some model's tokens.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

from pydantic import BaseModel, Field

from lema_ray.records import Message

MODEL = "rule-based-teacher"

Reply = Callable[[Sequence[Message], bool, int | None], str]
"""A teacher: a chat in, whether JSON is wanted, and the seed; the text of the reply out."""


class ChatMessage(BaseModel):
    """One message of a request; a list of content parts is joined."""

    role: Literal["system", "user", "assistant", "developer"]
    content: str | list[dict[str, Any]]

    def to_record(self) -> Message:
        """The message as the teacher takes it."""
        parts = [self.content] if isinstance(self.content, str) else [str(p.get("text", "")) for p in self.content]
        return Message("system" if self.role == "developer" else self.role, "".join(parts))


class ChatRequest(BaseModel):
    """The part of a chat completion request that this server looks at; other keys are accepted and have no effect."""

    model: str
    messages: list[ChatMessage] = Field(min_length=1)
    max_tokens: int | None = Field(None, gt=0)
    max_completion_tokens: int | None = Field(None, gt=0)
    n: int = Field(1, ge=1, le=64)
    stream: bool = False
    response_format: dict[str, Any] | None = None
    seed: int | None = None


def count_tokens(text: str) -> int:
    """Words and punctuation marks: what `usage` counts."""
    return len(_tokens(text))


def _tokens(text: str) -> list[str]:
    return re.findall(r"\s*(?:\w+|[^\w\s])", text)


def complete(request: ChatRequest, reply: Reply, number: int, as_json: bool = False) -> dict[str, Any]:
    """The chat completion object that answers a request, under the model's name that it asked for."""
    messages = [m.to_record() for m in request.messages]
    as_json = as_json or (request.response_format or {}).get("type") == "json_schema"
    text = reply(messages, as_json, request.seed)
    pieces, limit = _tokens(text), request.max_completion_tokens or request.max_tokens
    finish = "length" if limit and len(pieces) > limit else "stop"
    text = "".join(pieces[:limit]) if finish == "length" else text
    answer = {"role": "assistant", "content": text}
    choices = [{"index": i, "message": answer, "finish_reason": finish, "logprobs": None} for i in range(request.n)]
    asked, said = sum(count_tokens(m.content) for m in messages), request.n * count_tokens(text)
    usage = {"prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said}
    head = {"id": f"chatcmpl-{number}", "object": "chat.completion", "created": int(time.time())}
    return {**head, "model": request.model, "choices": choices, "usage": usage}


def chunks(completion: dict[str, Any]) -> Iterator[str]:
    """A completion as server-sent events, a few words at a time."""
    head = {k: v for k, v in completion.items() if k not in ("choices", "usage")} | {"object": "chat.completion.chunk"}

    def event(choices: list[dict[str, Any]], **more: Any) -> str:
        return f"data: {json.dumps({**head, 'choices': choices, **more})}\n\n"

    for choice in completion["choices"]:
        index, words = choice["index"], choice["message"]["content"].split(" ")
        for start in range(0, len(words), 4):
            content = (" " if start else "") + " ".join(words[start : start + 4])
            yield event([{"index": index, "delta": {"role": "assistant", "content": content}, "finish_reason": None}])
        yield event([{"index": index, "delta": {}, "finish_reason": choice["finish_reason"]}])
    yield event([], usage=completion["usage"])
    yield "data: [DONE]\n\n"
