"""The door of the HTTP application: who may come in, how much may be sent, how long it may take, what is written down.

Pure ASGI around the FastAPI application of `openai_api`, so that a client that leaves cancels what is behind it.
"""

from __future__ import annotations

import asyncio
import logging
import re
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.responses import JSONResponse, RedirectResponse

from serve.errors import OPEN, ApiError, bad_request
from serve.page_routes import page_paths
from serve.service import Service, refused
from serve.spending import SPENT
from serve.visit import SCOPE, Visit

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

log = logging.getLogger("lema_ray.serve")

PAGE_PATHS = page_paths()
MOST_KEY = 512
SECURITY = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self';"
        " connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
}
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Gate:
    """An ASGI application around another."""

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]], service: Service) -> None:
        self._app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; whatever happens, it is answered, settled and written down."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        visit = Visit(_request_id(scope), scope["method"], _path(scope))
        scope[SCOPE] = visit
        SPENT.set(visit.spent)
        reply = _Reply(visit, send)
        try:
            if _needs_slash(scope):
                # Under a prefix the page's relative addresses need the slash.
                answer = RedirectResponse(f"{scope['path']}/")
                await answer(scope, receive, reply.send)
                return
            await self._let_in(scope, receive, reply, visit)
        except ApiError as error:
            await reply.error(error)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            log.exception("request %s", visit.id)
            await reply.error(ApiError(500, f"an internal error ({type(error).__name__})", "internal_error"))
        finally:
            self._service.ended(visit)

    async def _let_in(self, scope: Scope, receive: Receive, reply: _Reply, visit: Visit) -> None:
        self._check_headers(scope, visit)
        limit = self._service.config.caps.seconds
        try:
            async with asyncio.timeout(limit):
                await self._app(scope, _Body(receive, self._service.config.caps.body_bytes).receive, reply.send)
        except TimeoutError:
            raise ApiError(504, f"the answer took longer than {limit:g} s", "timeout") from None

    def _check_headers(self, scope: Scope, visit: Visit) -> None:
        headers = [(name.lower(), value) for name, value in scope["headers"]]
        if any(name == b"x-request-disconnect-disabled" for name, _ in headers):
            # Ray Serve would go on computing for a client that left.
            raise bad_request("the header x-request-disconnect-disabled is not served", code="header_refused")
        keys = self._service.keys
        if keys is None or visit.path in OPEN or (visit.path in PAGE_PATHS and scope["method"] in ("GET", "HEAD")):
            return
        sent = [value.decode("latin-1") for name, value in headers if name == b"authorization"]
        scheme, _, secret = sent[0].partition(" ") if len(sent) == 1 else ("", "", "")
        secret = secret.strip()
        if scheme.lower() == "bearer" and 0 < len(secret) <= MOST_KEY:
            visit.key = keys.find(secret)
        if visit.key is None:
            what = "Incorrect API key provided" if sent else "No API key was sent"
            raise ApiError(401, f"{what}. Send it as `Authorization: Bearer KEY`.", "invalid_api_key")


class _Body:
    """What the client sends: no more than it may, whoever reads it."""

    def __init__(self, receive: Receive, most: int) -> None:
        self._receive, self._left = receive, most
        self._most = most

    async def receive(self) -> MutableMapping[str, Any]:
        """The `receive` of the application behind the gate. Raises `ApiError` 413."""
        try:
            message = await self._receive()
        except Exception:
            # Ray Serve raises its own error here when the client has left.
            return {"type": "http.disconnect"}
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            raise ApiError(413, f"the body is larger than {self._most} bytes", "request_too_large")
        return message


class _Reply:
    """What is sent back: with the headers that every answer has, and remembered by its visit."""

    def __init__(self, visit: Visit, send: Send) -> None:
        self._visit, self._send = visit, send
        self._stream = False

    async def send(self, message: MutableMapping[str, Any]) -> None:
        """The `send` of the application behind the gate."""
        visit = self._visit
        if message["type"] == "http.response.start":
            visit.status = message["status"]
            headers = [(name.lower(), value) for name, value in message.get("headers", ())]
            self._stream = any(n == b"content-type" and v.startswith(b"text/event-stream") for n, v in headers)
            message = {**message, "headers": headers + self._headers(headers)}
        elif message["type"] == "http.response.body":
            if visit.first_s is None:
                visit.first_s = visit.seconds
            visit.finished = not message.get("more_body", False)
        await self._send(message)

    async def error(self, error: ApiError) -> None:
        """Answer with an error, or end a stream that has begun with one."""
        visit = self._visit
        if visit.finished:
            return
        refused(visit, error)
        if visit.status:
            text = error.event() + "data: [DONE]\n\n" if self._stream else ""
            await self.send({"type": "http.response.body", "body": text.encode(), "more_body": False})
            return
        answer = JSONResponse(error.body(), error.status, error.headers())
        await self.send({"type": "http.response.start", "status": error.status, "headers": answer.raw_headers})
        await self.send({"type": "http.response.body", "body": answer.body, "more_body": False})

    def _headers(self, present: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        names = {name for name, _ in present}
        ours = {"x-request-id": self._visit.id, "cache-control": "no-store", **SECURITY}
        return [(name.encode(), value.encode()) for name, value in ours.items() if name.encode() not in names]


def _request_id(scope: Scope) -> str:
    """The client's own id where it is a sane one, else a new one."""
    for name, value in scope["headers"]:
        if name.lower() == b"x-request-id" and _ID.fullmatch(value.decode("latin-1")):
            return str(value.decode("latin-1"))
    return uuid.uuid4().hex


def _needs_slash(scope: Scope) -> bool:
    root = str(scope.get("root_path", ""))
    return len(root) > 1 and scope["path"] == root


def _path(scope: Scope) -> str:
    path, root = str(scope["path"]), str(scope.get("root_path", "")).rstrip("/")
    return (path[len(root) :] if root and path.startswith(root) else path) or "/"
