"""What users write is text to a served model, also where it looks like a mark of the chat template.

vLLM's chat layer tokenizes a rendered chat as a whole, so that `<|end|>` in a message ends the turn. Here such chats
are rendered with marks in the messages' places, and tokenized around them. Called by `vllm_backend`.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from lema_ray.special_tokens import encode_marked, marks_for, special_tokens
from serve.errors import bad_request

Render = Callable[[Any], Awaitable[Any]]


def read_as_text(render: Render, tokenizer: Any, context_length: int) -> Render:
    """vLLM's `render_chat_request`, with special tokens only where the template puts them. Raises `ApiError` 400."""
    special = special_tokens(tokenizer)

    async def rendered(request: Any) -> Any:
        messages = [_listed(message) for message in request.messages]
        texts = [text for message in messages for text in _texts(message)]
        _check_fields(request, special)
        if not any(token in text for text in texts for token in special):
            return await render(request.model_copy(update={"messages": messages}))
        marks = marks_for(texts)
        done = await render(request.model_copy(update={"messages": _replaced(messages, marks.marked)}))
        if not isinstance(done, tuple):
            return done
        inputs = done[1][0]
        encoded = encode_marked(tokenizer, inputs["prompt"], marks)
        if len(encoded.ids) >= context_length:
            what = f"the prompt has {len(encoded.ids)} tokens; the model takes {context_length} with its answer"
            raise bad_request(what, "messages", "context_length_exceeded")
        inputs |= {"prompt_token_ids": encoded.ids, "prompt": encoded.text}
        return done

    return rendered


def _check_fields(request: Any, special: frozenset[str]) -> None:
    """Templates write tools and their calls in forms of their own: there, such tokens are refused."""
    calls = [message.get("tool_calls") for message in request.messages]
    tools = [tool.model_dump() for tool in request.tools or ()]
    names = [message.get("name") for message in request.messages]
    written = json.dumps([tools, calls, names], ensure_ascii=False, default=str)
    for token in special:
        if token in written:
            raise bad_request(
                f"tools and names may not hold {token!r}, a mark of the model's chat template", "messages"
            )


def _listed(message: Any) -> Any:
    """The message with parts that can be read more than once: pydantic hands over an iterator."""
    content = message.get("content")
    return message if content is None or isinstance(content, str) else message | {"content": list(content)}


def _texts(message: Any) -> list[str]:
    content = message.get("content")
    if isinstance(content, str):
        return [content]
    return [part["text"] for part in content or ()]


def _replaced(messages: Sequence[Any], marked: Sequence[str]) -> list[Any]:
    """The messages with their texts taken from `marked`, in order."""
    left = iter(marked)
    replaced = []
    for message in messages:
        content = message.get("content")
        if content is not None:
            new = next(left) if isinstance(content, str) else [part | {"text": next(left)} for part in content]
            message = message | {"content": new}
        replaced.append(message)
    return replaced
