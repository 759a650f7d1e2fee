"""What the routes of one served model share: its backend, keys, limits, log, and the bookkeeping of every request."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request

from lema_ray.records import Task
from lema_ray.self_correction.streams import Streaming
from lema_ray.self_correction.trained_verifier import TrainedVerifier
from serve import metrics
from serve.access_log import AccessLog
from serve.backend import Backend
from serve.config import ServeConfig
from serve.desk import SharedDesk
from serve.errors import ApiError, unavailable
from serve.keys import KeyRing
from serve.limits import Refused
from serve.requests import ChatBody, CompletionBody, estimated_tokens, read_json
from serve.visit import SCOPE, Visit

T = TypeVar("T")
log = logging.getLogger("lema_ray.serve")


@dataclass(slots=True)
class Service:
    """One replica's share of a served model."""

    config: ServeConfig
    backend: Backend
    desk: SharedDesk
    keys: KeyRing | None
    access_log: AccessLog
    advisers: dict[str, Streaming] = field(default_factory=dict)
    verifier: TrainedVerifier | None = None
    replica: str = "local"
    ready: bool = False
    running: int = 0

    @property
    def task(self) -> Task | None:
        """Whose instruction questions get; `auto` was looked up before replicas were started."""
        task = self.config.task
        return None if task == "auto" or task == "none" else task

    async def read(self, request: Request) -> tuple[dict[str, Any], int]:
        """The JSON object of a request and its size. Raises `ApiError` 400, 408, 413 or 415."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise ApiError(415, f"content-type has to be application/json, not {kind[:80]!r}", "unsupported_media_type")
        caps = self.config.caps
        length = request.headers.get("content-length", "")
        if length.isdigit() and int(length[:20]) > caps.body_bytes:
            raise ApiError(413, f"the body is larger than {caps.body_bytes} bytes", "request_too_large")
        try:
            async with asyncio.timeout(caps.body_seconds):
                body = await request.body()
        except TimeoutError:
            raise ApiError(408, f"the body did not arrive within {caps.body_seconds:g} s", "body_timeout") from None
        return read_json(body), len(body)

    async def admit(self, visit: Visit, body: ChatBody | CompletionBody, size: int) -> None:
        """Let a request in. Raises `ApiError` 503 when this replica is full and 429 at a limit of its key."""
        caps = self.config.caps
        if self.running >= caps.in_flight:
            raise unavailable(f"{self.running} requests are being served; try again", 1.0, "overloaded")
        # Counted before the desk is asked, or a burst would come in while it answers.
        self.running += 1
        visit.admitted = True
        metrics.IN_FLIGHT.set(self.running)
        limits = visit.key.limits(self.config.limits) if visit.key else self.config.limits
        if not any(limits.model_dump().values()):
            return
        estimate = estimated_tokens(body, size, self.backend.context_length)
        found = await self.desk.admit(visit.key_name, limits.model_dump(), estimate, caps.seconds + 10)
        if isinstance(found, Refused):
            raise ApiError(
                429,
                f"this key's limit of {found.limit} {found.what} is reached; try again in {found.retry_after_s:.0f} s",
                "rate_limit_exceeded",
                retry_after_s=found.retry_after_s,
            )
        visit.ticket = found

    def ended(self, visit: Visit) -> None:
        """Give back what the request held, and write down what became of it. Called once, whatever happened."""
        if visit.admitted:
            self.running -= 1
            metrics.IN_FLIGHT.set(self.running)
        if visit.ticket is not None:
            self.desk.settle(visit.key_name, visit.ticket, visit.spent.tokens)
        by = (visit.model, visit.policy)
        metrics.REQUESTS.labels(*by, str(visit.status)).inc()
        if visit.admitted:
            self._count(visit, by)
        line = visit.line()
        if self.config.log_prompts and visit.admitted:
            line |= {"question": visit.question, "answer": visit.spent.text}
        self.access_log.write(line)

    def _count(self, visit: Visit, by: tuple[str, str]) -> None:
        metrics.SECONDS.labels(*by).observe(visit.seconds)
        metrics.FIRST_SECONDS.labels(*by).observe(visit.first_s or visit.seconds)
        metrics.PROMPT_TOKENS.labels(*by).inc(visit.spent.prompt_tokens)
        metrics.COMPLETION_TOKENS.labels(*by).inc(visit.spent.completion_tokens)
        if not visit.answered:
            metrics.LEFT.labels(*by).inc()
        if visit.trace is not None:
            metrics.count_correction(visit.model, visit.trace)
        if self.config.feedback and visit.answered and visit.status == 200:
            self.desk.remember(visit.id, self._answer(visit))

    def _answer(self, visit: Visit) -> dict[str, Any]:
        return {
            "request_id": visit.id,
            "key": visit.key_name,
            "model": visit.model,
            "policy": visit.policy,
            "question": visit.question,
            "solution": _solution(visit),
            "trace": visit.trace,
        }


def _solution(visit: Visit) -> str:
    trace = visit.trace
    if trace is None or not trace["drafts"]:
        return visit.spent.text
    return str(trace["drafts"][trace["final_draft"]]["text"])


def visit_of(request: Request) -> Visit:
    """The visit that the gate opened for a request."""
    visit: Visit = request.scope[SCOPE]
    return visit


def refused(visit: Visit, error: ApiError) -> None:
    """Count a request that got an error."""
    visit.code = error.code
    metrics.REFUSED.labels(error.code).inc()


async def while_connected(request: Request, work: Awaitable[T]) -> T:
    """The result of `work`, which is cancelled when the client leaves. Raises `ClientDisconnect` then."""
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait((task, gone), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientDisconnect
        return task.result()
    finally:
        for one in (task, gone):
            one.add_done_callback(_forget)
            one.cancel()


def _forget(task: asyncio.Future[Any]) -> None:
    if not task.cancelled():
        task.exception()


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
