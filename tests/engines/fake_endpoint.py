"""A loopback OpenAI-compatible server for tests: what it says depends on prompt and seed, and it fails on request.

`FakeEndpoint` runs in a thread; `python fake_endpoint.py PORT` runs until it is stopped.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from dataclasses import dataclass, field
from random import Random
from typing import Any

from aiohttp import web

WORDS = ["add", "subtract", "apples", "pears", "seven", "twelve", "so", "therefore", "left", "each", "total", "half"]


def babble(prompt: str, seed: int | None, temperature: float) -> str:
    """Sixty words that the prompt and, unless greedy, the seed decide."""
    return " ".join(Random(f"{prompt}|{seed if temperature else None}").choices(WORDS, k=60))


@dataclass
class FakeEndpoint:
    """What it is to do is set on it; what it was asked is in `requests`. `faults` are served first, one per request."""

    models: list[str] | None = field(default_factory=lambda: ["babbler"])
    key: str | None = None
    context_length: int = 512
    faults: list[Any] = field(default_factory=list)
    delay_s: float = 0.0
    requests: list[dict[str, Any]] = field(default_factory=list)
    in_flight: int = 0
    most_in_flight: int = 0

    def __enter__(self) -> FakeEndpoint:
        self._loop = asyncio.new_event_loop()
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(ready,), name="fake-endpoint")
        self._thread.start()
        assert ready.wait(20)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(20)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/v1"

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/v1/models", self._list_models)
        app.router.add_post("/v1/chat/completions", self._chat)
        return app

    def _run(self, ready: threading.Event) -> None:
        async def start() -> web.AppRunner:
            runner = web.AppRunner(self.app())
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            self._port = site._server.sockets[0].getsockname()[1]
            return runner

        runner = self._loop.run_until_complete(start())
        ready.set()
        self._loop.run_forever()
        self._loop.run_until_complete(runner.cleanup())
        self._loop.close()

    def _refused_key(self, request: web.Request) -> web.Response | None:
        sent = request.headers.get("Authorization", "")
        if self.key is None or sent == f"Bearer {self.key}":
            return None
        return _error(401, f"Incorrect API key provided: {sent}", "invalid_api_key")

    async def _list_models(self, request: web.Request) -> web.Response:
        if self.models is None:
            raise web.HTTPNotFound
        data = [{"id": name, "object": "model", "created": 0, "owned_by": "me"} for name in self.models]
        return self._refused_key(request) or web.json_response({"object": "list", "data": data})

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.requests.append(body)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        await asyncio.sleep(self.delay_s)
        self.in_flight -= 1
        if self.faults:
            fault = self.faults.pop(0)
            if fault == "disconnect":
                request.transport.close()
            return fault() if callable(fault) else web.Response()
        return self._refused_key(request) or self._answer(body)

    def _answer(self, body: dict[str, Any]) -> web.Response:
        messages = body["messages"]
        if messages[-1]["role"] == "assistant" and not body.get("continue_final_message"):
            return _error(400, "the last message must be the user's", "invalid_request_error")
        prompt = " ".join(message["content"] for message in messages)
        used = len(prompt.split())
        if used + 1 > self.context_length:
            return _error(400, f"This model's maximum context length is {self.context_length} tokens", None)
        text = babble(prompt, body.get("seed"), body["temperature"])
        ends = [at for at in (text.find(stop) for stop in body.get("stop") or []) if at >= 0]
        words = text[: min(ends)].split(" ") if ends else text.split(" ")
        kept = words[: body["max_tokens"]]
        return reply(" ".join(kept), "length" if len(kept) < len(words) else "stop", (used, len(kept)), body["model"])


def reply(
    text: str | None, finish_reason: str = "stop", used: tuple[int, int] = (10, 5), model: str = "babbler"
) -> web.Response:
    message = {"role": "assistant", "content": text}
    return web.json_response(
        {
            "id": "x",
            "object": "chat.completion",
            "created": 0,
            "model": model,
            "choices": [{"index": 0, "message": message, "finish_reason": finish_reason}],
            "usage": {"prompt_tokens": used[0], "completion_tokens": used[1], "total_tokens": sum(used)},
        }
    )


def _error(status: int, message: str, code: str | None, **headers: str) -> web.Response:
    return web.json_response({"error": {"message": message, "code": code}}, status=status, headers=headers)


def failing(status: int, message: str = "no", code: str | None = None, **headers: str) -> Any:
    """A fault: an error response."""
    return lambda: _error(status, message, code, **{k.replace("_", "-"): v for k, v in headers.items()})


if __name__ == "__main__":
    if "FAIL" in os.environ:
        sys.exit("cannot load the model")
    web.run_app(FakeEndpoint().app(), host="127.0.0.1", port=int(sys.argv[1]), print=None)
