"""What the HTTP application asks of a model: answers in OpenAI's form, and bare text for the policies.

`vllm_backend` is the real one; `scripted_backend` serves a Python function, for tests of everything around the model.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, Protocol

from lema_ray.records import Completion, Message, Sampling
from serve.requests import ChatBody, CompletionBody

Answer = dict[str, Any] | AsyncIterator[str]
"""A whole answer, or the server-sent events of one, `data: [DONE]` included."""


class Backend(Protocol):
    """A model that is opened once and asked many times at once. Its methods raise `ApiError`."""

    name: str
    context_length: int

    async def start(self) -> None:
        """Load the model and prove it: return when a real answer was generated."""
        ...

    async def close(self) -> None: ...

    async def check_health(self) -> None:
        """Raise when it can serve nobody."""
        ...

    async def models(self) -> list[dict[str, Any]]:
        """The cards of the base and its adapters."""
        ...

    async def chat(self, body: ChatBody, request_id: str) -> Answer: ...

    async def completion(self, body: CompletionBody, request_id: str) -> Answer: ...

    def stream(self, model: str, messages: Sequence[Message], sampling: Sampling) -> AsyncIterator[str | Completion]:
        """One generation: pieces of text as they come, and last the whole. A final assistant message is continued."""
        ...
