"""A model that streams, as policies see it, and the way from a `Generate` to one.

The server makes one of vLLM's stream; evaluation uses its engines through `streamed`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from lema_ray.engines import Generate
from lema_ray.records import Completion, Message, Sampling


class Streaming(Protocol):
    """Pieces of text as they come and last the whole `Completion`, whose text is theirs and which has the token counts.

    Raises as engines do: `RequestRefused` for this request, `EngineUnavailable` for all. Closing the iterator ends the
    request and frees its place in the engine.
    """

    def __call__(self, messages: Sequence[Message], sampling: Sampling) -> AsyncIterator[str | Completion]: ...


def streamed(generate: Generate) -> Streaming:
    """A `Generate` as a stream of one piece."""

    async def stream(messages: Sequence[Message], sampling: Sampling) -> AsyncIterator[str | Completion]:
        completion = await generate(messages, sampling)
        if completion.text:
            yield completion.text
        yield completion

    return stream
