"""The scripted engine: completions from a Python function, for tests, plans and benchmarks.

Opened by `open_engine`. A script is named `module:function` and is called as `function(messages, sampling)`. It returns
the text, or a whole `Completion`, and may raise `RequestRefused` or `EngineUnavailable`. Text is cut at stop strings
and at `max_tokens` as a real engine would; a token is a word here.
"""

from __future__ import annotations

import asyncio
import importlib
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from lema_ray.engines import EngineUnavailable, RequestRefused
from lema_ray.records import Completion, FinishReason, Message, Sampling

if TYPE_CHECKING:
    from lema_ray.config import ScriptedSpec

Script = Callable[[Sequence[Message], Sampling], str | Completion]

_WORD = re.compile(r"\S+")


def echo(messages: Sequence[Message], sampling: Sampling) -> str:
    """The default script: says the last message back."""
    return messages[-1].content


class ScriptedEngine:
    """An `Engine` whose model is a function. It continues a final assistant message if its function does."""

    can_continue = True

    def __init__(self, spec: ScriptedSpec) -> None:
        self.spec = spec
        self.model = spec.model
        self.context_length = spec.context_length
        self._slots = asyncio.Semaphore(spec.concurrency)
        self._script: Script | None = None

    async def start(self) -> None:
        """Find the function. Raises `EngineUnavailable` when there is none of that name."""
        self._script = load_script(self.spec.script)

    async def close(self) -> None:
        """Forget the function."""
        self._script = None

    async def __call__(self, messages: Sequence[Message], sampling: Sampling) -> Completion:
        """The script's completion, after the configured latency."""
        if self._script is None:
            raise EngineUnavailable(f"the scripted engine {self.model!r} is not started")
        prompt_tokens = sum(_count(message.content) for message in messages)
        if self.context_length is not None and prompt_tokens >= self.context_length:
            raise RequestRefused("too_long", f"{prompt_tokens} prompt tokens, context length {self.context_length}")
        async with self._slots:
            if self.spec.latency_s:
                await asyncio.sleep(self.spec.latency_s)
            reply = self._script(messages, sampling)
        return reply if isinstance(reply, Completion) else self._complete(reply, prompt_tokens, sampling)

    def _complete(self, text: str, prompt_tokens: int, sampling: Sampling) -> Completion:
        room = sampling.max_tokens
        if self.context_length is not None:
            room = min(room, self.context_length - prompt_tokens)
        text, finish_reason = _cut(text, sampling.stop, room)
        return Completion(text, finish_reason, self.model, prompt_tokens, _count(text))


def load_script(name: str) -> Script:
    """The function that `module:function` names. Raises `EngineUnavailable` when it cannot be loaded."""
    module, colon, function = name.partition(":")
    try:
        if not colon:
            raise ValueError("expected module:function")
        script: Script = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise EngineUnavailable(f"script {name!r} cannot be loaded: {error}") from error
    return script


def _count(text: str) -> int:
    return len(text.split())


def _cut(text: str, stop: Sequence[str], room: int) -> tuple[str, FinishReason]:
    """The text up to the first stop string or the last word there is room for, whichever comes first."""
    found = [at for at in (text.find(s) for s in stop) if at >= 0]
    text = text[: min(found)] if found else text
    if _count(text) <= room:
        return text, "stop"
    words = _WORD.finditer(text)
    end = [next(words).end() for _ in range(room)][-1]
    return text[:end], "length"
