"""A server for the page's tests: real HTTP and real streams, with answers from a script.

A question chooses its script. Scripts yield events of the self-correction protocol; `WAIT` holds the stream until the
test lets it go on, and `LOSE` breaks the connection.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from serve import page_routes

WAIT = {"wait": True}
LOSE = {"lose": True}
Event = dict[str, Any]
Script = Callable[[Event], Iterable[Event] | Response]
POLICIES = ["off", "spontaneous", "revise", "critique", "verify", "vote"]


class PageServer:
    """The application under uvicorn in a thread. `asked` and `verdicts` are the bodies that came."""

    def __init__(self) -> None:
        self.scripts: dict[str, Script] = {}
        self.reset()
        self._loop = asyncio.new_event_loop()
        self._server = uvicorn.Server(uvicorn.Config(self._app(), port=0, log_level="critical", lifespan="off"))
        self._thread = threading.Thread(target=self._run, daemon=True)

    def reset(self) -> None:
        """As it was at first: one model with every policy, no key wanted."""
        self.asked: list[Event] = []
        self.verdicts: list[Event] = []
        self.key: str | None = None
        self.verdict_status = 200
        self.left = threading.Event()
        self.go = asyncio.Event()
        self.models = [model("demo", feedback=True)]
        self.siblings: dict[str, str] = {}

    def start(self) -> str:
        """Serve; the address."""
        self._thread.start()
        while not self._server.started:
            if not self._thread.is_alive():
                raise RuntimeError("the page's server did not start")
        port = self._server.servers[0].sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{port}"

    def stop(self) -> None:
        """End it, open streams included."""
        self._server.force_exit = self._server.should_exit = True
        self._thread.join(20)

    def let_go(self) -> None:
        """Streams that wait go on."""
        self._loop.call_soon_threadsafe(self.go.set)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._server.serve())

    def _app(self) -> FastAPI:
        app = FastAPI()
        app.include_router(page_routes.page)
        app.include_router(page_routes.formulas)
        app.add_api_route("/v1/models", self._list, methods=["GET"])
        app.add_api_route("/v1/feedback", self._feedback, methods=["POST"])
        app.add_api_route("/v1/chat/completions", self._chat, methods=["POST"])
        app.add_api_route("/beside/v1/models", self._list_beside, methods=["GET"])
        app.add_api_route("/beside/v1/chat/completions", self._chat, methods=["POST"])
        return app

    async def _list(self, request: Request) -> Response:
        return self._no_key(request) or JSONResponse({"object": "list", "data": self.models, "siblings": self.siblings})

    async def _list_beside(self) -> Response:
        return JSONResponse({"object": "list", "data": [model("other", ["off"])], "siblings": {}})

    async def _feedback(self, request: Request) -> Response:
        if self.verdict_status != 200:
            return error(self.verdict_status, "the record store is full")
        self.verdicts.append(await request.json())
        return JSONResponse({"ok": True})

    async def _chat(self, request: Request) -> Response:
        if refused := self._no_key(request):
            return refused
        body = await request.json()
        self.asked.append({**body, "path": request.url.path})
        question = body["messages"][-1]["content"]
        answer = self.scripts[question](body)
        return (
            answer
            if isinstance(answer, Response)
            else StreamingResponse(self._sent(answer, body), media_type="text/event-stream")
        )

    def _no_key(self, request: Request) -> Response | None:
        if self.key is None or request.headers.get("authorization") == f"Bearer {self.key}":
            return None
        return error(401, "a bearer key is needed")

    async def _sent(self, events: Iterable[Event], body: Event) -> AsyncIterator[str]:
        head = {
            "id": f"chatcmpl-{len(self.asked)}",
            "object": "chat.completion.chunk",
            "created": 0,
            "model": body["model"],
        }
        try:
            for event in events:
                if event is WAIT:
                    await self.go.wait()
                elif event is LOSE:
                    raise ConnectionError
                else:
                    yield f"data: {json.dumps(head | event)}\n\n"
                await asyncio.sleep(0)
            yield "data: [DONE]\n\n"
        except (asyncio.CancelledError, GeneratorExit):
            self.left.set()
            raise


def model(name: str, policies: list[str] = POLICIES, feedback: bool = False, **more: Any) -> Event:
    """An entry of the models' list."""
    return {
        "id": name,
        "object": "model",
        "self_correction": {"policies": policies, "default": "revise", "feedback": feedback},
        **more,
    }


def error(status: int, message: str, headers: dict[str, str] | None = None) -> Response:
    """A refusal in OpenAI's shape."""
    shape = {"error": {"message": message, "type": "error", "param": None, "code": None}}
    return JSONResponse(shape, status, headers)


def content(text: str, finish: str | None = None) -> Event:
    """A piece of what plain clients read."""
    return {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": finish}]}


def said(event: str, **fields: Any) -> Event:
    """A chunk with an event of the protocol."""
    return {"choices": [], "self_correction": {"event": event, **fields}}


def pieces(draft: int, text: str, kind: str = "draft") -> list[Event]:
    """A draft, word by word."""
    words = [text[i : i + 6] for i in range(0, len(text), 6)]
    return [said("draft", draft=draft, kind=kind), *(said("piece", draft=draft, text=word) for word in words)]
