"""One answer in the making: its drafts and doubts, what it has spent, and its bounds. Used by every policy."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from lema_ray.config import Policy
from lema_ray.engines import RequestRefused
from lema_ray.records import Completion, Doubt, Draft, DraftKind, Message, Sampling, StopReason, Trace
from lema_ray.self_correction.answers import answer_of, first_answer, tokens_after
from lema_ray.self_correction.events import Began, Piece
from lema_ray.self_correction.models import Models
from lema_ray.self_correction.problem import Problem
from lema_ray.self_correction.streams import Streaming

T = TypeVar("T")


class Ended(Exception):
    """A bound is reached, or a reply is of no use: the best answer so far is the answer."""

    def __init__(self, reason: StopReason, detail: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail


class Answering:
    """What a policy works on. `best` is the number of the draft that would be the answer now."""

    def __init__(self, policy: Policy, problem: Problem, sampling: Sampling, models: Models) -> None:
        self.policy, self.problem, self.sampling, self.models = policy, problem, sampling, models
        self.drafts: list[Draft] = []
        self.doubts: list[Doubt] = []
        self.best = 0
        self.probability_wrong: float | None = None
        self.stop_reason: StopReason = "no_doubt"
        self._left = policy.max_tokens
        self._spent = Completion("", "stop", "", 0, 0)
        self._first = self._spent
        self._requests = 0
        self._started = time.monotonic()
        self._deadline = None if policy.timeout_s is None else asyncio.get_running_loop().time() + policy.timeout_s
        self._streams: list[AsyncIterator[Any]] = []

    async def write(
        self, kind: DraftKind, model: Streaming, messages: Sequence[Message], sampling: Sampling
    ) -> AsyncIterator[Began | Piece]:
        """A draft, as it comes; it counts as far as it came, whatever ends it. A cut-off one ends with `max_tokens`."""
        number = self.begin(kind)
        yield Began(number, kind)
        parts: list[str] = []
        whole: Completion | None = None
        try:
            async for item in self.stream(model, messages, sampling):
                if isinstance(item, Completion):
                    whole = item
                else:
                    parts.append(item)
                    yield Piece(number, item)
        finally:
            done = whole is not None and whole.finish_reason != "length"
            self.finish(number, "".join(parts), done)
            if number == 0:
                self._first = whole or Completion("", "length", "", 0, len(parts))
        if not done:
            raise Ended("max_tokens")

    def begin(self, kind: DraftKind) -> int:
        """The number of a new draft."""
        self.drafts.append(Draft("", kind, None, "length"))
        return len(self.drafts) - 1

    def finish(self, number: int, text: str, done: bool) -> None:
        """What a draft came to. A finished one with an answer is the best so far."""
        answer = answer_of(text, self.problem.question)
        self.drafts[number] = replace(
            self.drafts[number], text=text, answer=answer, finish_reason="stop" if done else "length"
        )
        if done and (answer is not None or self.drafts[self.best].answer is None):
            self.best = number

    def doubt(self, doubt: Doubt) -> Doubt:
        """Note a doubt; it is the event as well."""
        self.doubts.append(doubt)
        return doubt

    async def ask(self, messages: Sequence[Message], sampling: Sampling) -> Completion:
        """A `Generate` that asks the adviser, counted and within the bounds."""
        async for item in self.stream(self.models.adviser or self.models.solver, messages, sampling):
            if isinstance(item, Completion):
                return item
        raise Ended("unreadable_reply")

    async def stream(
        self, model: Streaming, messages: Sequence[Message], sampling: Sampling
    ) -> AsyncIterator[str | Completion]:
        """A model's reply, counted and within the bounds. Raises `Ended`."""
        granted = self._grant(sampling.max_tokens)
        pieces = model(messages, replace(sampling, max_tokens=granted))
        self._streams.append(pieces)
        self._requests += 1
        came, used = 0, None
        try:
            async for item in pieces if self._deadline is None else self._in_time(pieces):
                if isinstance(item, Completion):
                    used = item
                else:
                    came += 1
                yield item
        except TimeoutError:
            raise Ended("timeout") from None
        except RequestRefused as refusal:
            used = refusal.completion
            raise Ended("refused", str(refusal)) from None
        finally:
            # A stream that was cut off says no counts: a piece is then taken for a token.
            self._count(used or Completion("", "length", "", 0, came), granted)
            self._streams.remove(pieces)
            await _close(pieces)

    async def _in_time(self, pieces: AsyncIterator[T]) -> AsyncIterator[T]:
        """The same as long as there is time. Raises `TimeoutError`."""
        while True:
            # Around each wait and not around them all: what the reader does between two pieces is not to be cancelled.
            async with asyncio.timeout_at(self._deadline):
                try:
                    item = await anext(pieces)
                except StopAsyncIteration:
                    return
            yield item

    def _grant(self, wanted: int) -> int:
        if self._left is None:
            return wanted
        granted = min(wanted, self._left)
        if granted < 1:
            raise Ended("max_tokens")
        self._left -= granted
        return granted

    def _count(self, used: Completion, granted: int) -> None:
        spent = self._spent
        self._spent = replace(
            spent,
            prompt_tokens=spent.prompt_tokens + used.prompt_tokens,
            completion_tokens=spent.completion_tokens + used.completion_tokens,
            cost=spent.cost + used.cost,
        )
        if self._left is not None:
            self._left += granted - min(used.completion_tokens, granted)

    async def bounded(self, waiting: Awaitable[T]) -> T:
        """Wait as long as there is time. Raises `Ended`."""
        try:
            async with asyncio.timeout_at(self._deadline):
                return await waiting
        except TimeoutError:
            raise Ended("timeout") from None

    def trace(self, refusal: str | None = None) -> Trace:
        """The whole story."""
        spent = self._spent
        first = self.drafts[0] if self.drafts else Draft("")
        own = [doubt for doubt in self.doubts if doubt.kind != "judged"]
        return Trace(
            policy=self.policy.policy,
            first_answer=first_answer(first.text, own, self.problem.question) if own else first.answer,
            final_answer=self.drafts[self.best].answer if self.drafts else None,
            drafts=tuple(self.drafts),
            doubts=tuple(sorted(self.doubts, key=lambda doubt: (doubt.draft, doubt.start))),
            final_draft=self.best,
            revisions=sum(draft.kind == "revision" for draft in self.drafts),
            probability_wrong=self.probability_wrong,
            requests=self._requests,
            prompt_tokens=spent.prompt_tokens,
            completion_tokens=spent.completion_tokens,
            extra_tokens=_tokens(spent)
            - _tokens(self._first)
            + tokens_after(own, first.text, self._first.completion_tokens),
            cost=spent.cost,
            seconds=time.monotonic() - self._started,
            stop_reason=self.stop_reason,
            refusal=refusal,
        )

    async def close(self) -> None:
        """End every request that is still on its way: nobody waits for it any more."""
        for pieces in list(self._streams):
            await _close(pieces)


def _tokens(used: Completion) -> int:
    return used.prompt_tokens + used.completion_tokens


async def _close(pieces: AsyncIterator[Any]) -> None:
    if hasattr(pieces, "aclose"):
        await pieces.aclose()
