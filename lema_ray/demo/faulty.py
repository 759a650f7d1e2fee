"""What each fault looks like on the wire, and in an answer that arrives whole. Used by the fault server."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from uvicorn.protocols.http.auto import AutoHTTPProtocol

HUGE = "All work and no play makes a long answer. " * 25_000

_connections: dict[tuple[str, int], Any] = {}


class ResettableHTTP(AutoHTTPProtocol):  # type: ignore[misc, valid-type]
    """uvicorn's protocol, with its connections in reach: ASGI has no way to break one."""

    def connection_made(self, transport: Any) -> None:
        _connections[transport.get_extra_info("peername")[:2]] = transport
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        _connections.pop(self.transport.get_extra_info("peername")[:2], None)
        super().connection_lost(exc)


class Reset(Response):
    """No reply: the peer sees a TCP reset."""

    async def __call__(self, scope: Any, receive: Any, send: Callable[[Any], Awaitable[None]]) -> None:
        transport = _connections[tuple(scope["client"])]
        linger = struct.pack("ii", 1, 0)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        transport.abort()


class CutOff(Response):
    """Promises a whole body, sends the first part of it and hangs up."""

    def __init__(self, body: bytes, share: float) -> None:
        super().__init__(body, media_type="application/json")
        self._sent = max(1, int(len(body) * share))

    async def __call__(self, scope: Any, receive: Any, send: Callable[[Any], Awaitable[None]]) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body[: self._sent], "more_body": True})


def error(status: int, kind: str, message: str, headers: dict[str, str] | None = None) -> Response:
    """An error in OpenAI's shape."""
    return JSONResponse({"error": {"message": message, "type": kind, "param": None, "code": None}}, status, headers)


def refused(fault: str, retry_after_s: float) -> Response | None:
    """The reply of a fault that does not look at what was asked; None for the others."""
    after = {"Retry-After": f"{retry_after_s:g}"} if fault == "rate_429" else None
    replies: dict[str, Callable[[], Response]] = {
        "rate_429": lambda: error(429, "rate_limit_error", "Too many requests; wait a little.", after),
        "rate_429_bare": lambda: error(429, "rate_limit_error", "Too many requests; wait a little."),
        "rate_500": lambda: error(500, "server_error", "The server had an error."),
        "rate_503": lambda: error(503, "server_error", "The server is overloaded."),
        "reset": Reset,
        "disconnect": lambda: CutOff(b'{"id": "chatcmpl' + b" " * 4000, 0.004),
        "malformed": lambda: Response('{"id": "chatcmpl', media_type="application/json"),
        "wrong_json": lambda: JSONResponse({"result": "fine", "items": []}),
    }
    return replies[fault]() if fault in replies else None


def spoil(fault: str, completion: dict[str, Any]) -> dict[str, Any]:
    """A completion that arrives whole, with something wrong in it."""
    for choice in completion["choices"]:
        message = choice["message"]
        message["content"] = _spoilt_text(fault, message["content"])
        if fault == "refusal":
            message["refusal"] = "I'm sorry, but I can't help with that."
        if fault in ("length", "content_filter"):
            choice["finish_reason"] = fault
    return completion | ({"model": "some-other-model-7b"} if fault == "wrong_model" else {})


def _spoilt_text(fault: str, text: str) -> str | None:
    texts: dict[str, str | None] = {
        "prose": f"Of course! This is what I found:\n\n{text}\n\nLet me know if it helps.",
        "fence": f"```json\n{text}\n```",
        "other_json": json.dumps({"verdict": "looks good", "confidence": 0.93}),
        "empty": "",
        "refusal": None,
        "length": text[: len(text) // 2],
        "content_filter": text[: len(text) // 3],
        "huge": HUGE,
    }
    return texts.get(fault, text)


def late(body: bytes, seconds: float, pieces: int = 50) -> Response:
    """The body in small pieces, over some seconds."""

    async def dribble() -> AsyncIterator[bytes]:
        step = max(1, len(body) // pieces)
        for start in range(0, len(body), step):
            await asyncio.sleep(seconds / pieces)
            yield body[start : start + step]

    return StreamingResponse(dribble(), media_type="application/json")


def peer_is_allowed(http: Request, key: str | None) -> bool:
    """Whether a request carries the key."""
    return key is None or http.headers.get("authorization") == f"Bearer {key}"
