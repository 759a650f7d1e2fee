"""The demo's teachers as a real OpenAI-compatible HTTP server on loopback.

`python -m lema_ray.demo.server --port 8123` serves `/v1/models` and `/v1/chat/completions` (whole or streamed), and
`/stats`, which counts requests by outcome. It is the rule-based teacher, which knows the demo's word problems, or with
`--solutions FILE` the annotated one, which knows that file's questions. Faults, latency and a key can be switched on,
so that what an API does to a pipeline is tested over a real connection. Needs the extra `serve`.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any

import uvicorn
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from lema_ray.demo.annotated import AnnotatedTeacher
from lema_ray.demo.completions import MODEL, ChatRequest, Reply, chunks, complete
from lema_ray.demo.faults import Faults, parse_faults
from lema_ray.demo.teacher import reply
from lema_ray.errors import LemaError


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """How the server behaves. `port` 0 takes a free one; `api_key` None lets everybody in.

    `solutions` is a file of worked solutions for the annotated teacher; without it the rule-based one answers.
    """

    port: int = 0
    api_key: str | None = None
    faults: Faults = field(default_factory=Faults)
    latency_s: float = 0.0
    retry_after_s: float = 1.0
    error_rate: float = 0.0
    seed: int = 0
    solutions: str | None = None


class Disconnect(Response):
    """Promises more than it sends and hangs up."""

    async def __call__(self, scope: Any, receive: Any, send: Callable[[Any], Awaitable[None]]) -> None:
        headers = [(b"content-type", b"application/json"), (b"content-length", b"4096")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b'{"id": "chatcmpl', "more_body": True})


class TeacherServer:
    """The endpoints and their counts; `app` is the ASGI application."""

    def __init__(self, options: ServerOptions) -> None:
        self.options = options
        self.model, self._reply = _teacher(options)
        self.outcomes = Counter[str]()
        self._rng = Random(options.seed)
        self._numbers = itertools.count(1)
        routes = [
            Route("/v1/models", self.models),
            Route("/v1/chat/completions", self.chat, methods=["POST"]),
            Route("/stats", self.stats),
        ]
        self.app = Starlette(routes=routes)

    async def models(self, http: Request) -> Response:
        """The one model there is."""
        card = {"id": self.model, "object": "model", "created": 0, "owned_by": "lema_ray"}
        return self._refusal(http) or JSONResponse({"object": "list", "data": [card]})

    async def stats(self, http: Request) -> Response:
        """Chat requests so far, and how many had which outcome: `ok`, `slow`, a status code or a fault."""
        return JSONResponse({"requests": self.outcomes.total(), "outcomes": dict(self.outcomes)})

    async def chat(self, http: Request) -> Response:
        """One chat completion, or one of the things that go wrong."""
        outcome, response = await self._respond(http)
        self.outcomes[outcome] += 1
        return response

    async def _respond(self, http: Request) -> tuple[str, Response]:
        if refusal := self._refusal(http):
            return "401", refusal
        try:
            request = ChatRequest.model_validate_json(await http.body())
        except ValidationError as problem:
            first = problem.errors()[0]
            where = ".".join(map(str, first["loc"])) or "body"
            return "400", _error(400, "invalid_request_error", f"{where}: {first['msg']}")
        if request.model != self.model:
            what = f"The model {request.model!r} does not exist; use {self.model!r}."
            return "404", _error(404, "not_found_error", what)
        fault = self.options.faults.draw(self._rng)
        await asyncio.sleep(self.options.latency_s + (self.options.faults.slow_s if fault == "slow" else 0.0))
        return self._failure(fault) or (fault, self._completion(request))

    def _refusal(self, http: Request) -> Response | None:
        key = self.options.api_key
        if key is None or http.headers.get("authorization") == f"Bearer {key}":
            return None
        return _error(401, "authentication_error", "Incorrect API key provided.")

    def _failure(self, fault: str) -> tuple[str, Response] | None:
        if fault == "rate_429":
            headers = {"Retry-After": f"{self.options.retry_after_s:g}"}
            return "429", _error(429, "rate_limit_error", "Too many requests; wait a little.", headers)
        if fault == "rate_500":
            return "500", _error(500, "server_error", "The server had an error.")
        if fault == "disconnect":
            return fault, Disconnect()
        malformed = Response('{"id": "chatcmpl', media_type="application/json")
        return (fault, malformed) if fault == "malformed" else None

    def _completion(self, request: ChatRequest) -> Response:
        completion = complete(request, self._reply, next(self._numbers))
        if request.stream:
            return StreamingResponse(chunks(completion), media_type="text/event-stream")
        return JSONResponse(completion)


def _teacher(options: ServerOptions) -> tuple[str, Reply]:
    if options.solutions is None:
        return MODEL, partial(reply, error_rate=options.error_rate)
    teacher = AnnotatedTeacher(options.solutions)
    return teacher.model, teacher.reply


def _error(status: int, kind: str, message: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"error": {"message": message, "type": kind, "param": None, "code": None}}, status, headers)


@contextmanager
def running(options: ServerOptions) -> Iterator[str]:
    """The server in a thread of this process, for tests and benchmarks: yields its base URL, stops it afterwards."""
    with socket.create_server(("127.0.0.1", options.port)) as listener:
        server = uvicorn.Server(uvicorn.Config(TeacherServer(options).app, log_level="error"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not server.started and thread.is_alive():
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        finally:
            server.should_exit = True
            thread.join(timeout=10)


def read_options(arguments: list[str]) -> ServerOptions:
    """The options of a command line; a wrong one ends the program with what is wrong."""
    parser = argparse.ArgumentParser(prog="python -m lema_ray.demo.server", description="The demo's teachers.")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--api-key-env", help="environment variable with the key that clients must send")
    parser.add_argument("--faults", default="", help="e.g. rate_429=0.1,rate_500=0.05,disconnect=0.02,slow=0.05:2.0")
    parser.add_argument("--latency-s", type=float, default=0.0)
    parser.add_argument("--retry-after-s", type=float, default=1.0)
    parser.add_argument("--error-rate", type=float, default=0.0, help="share of replies with a wrong number")
    parser.add_argument("--solutions", help="file of worked solutions to correct from, instead of the demo's rules")
    parser.add_argument("--seed", type=int, default=0, help="of the faults")
    given = vars(parser.parse_args(arguments))
    variable = given.pop("api_key_env")
    if variable and not os.environ.get(variable):
        parser.error(f"--api-key-env: {variable} is not set")
    try:
        faults = parse_faults(given.pop("faults"))
    except ValueError as error:
        parser.error(str(error))
    return ServerOptions(faults=faults, api_key=os.environ[variable] if variable else None, **given)


def main() -> None:
    """Serve until stopped; the first line printed says where."""
    options = read_options(sys.argv[1:])
    try:
        teacher = TeacherServer(options)
    except LemaError as problem:
        sys.exit(f"error: {problem}")
    listener = socket.create_server(("127.0.0.1", options.port))
    print(f"{teacher.model} at http://127.0.0.1:{listener.getsockname()[1]}/v1", flush=True)
    uvicorn.Server(uvicorn.Config(teacher.app, log_level="warning")).run(sockets=[listener])


if __name__ == "__main__":
    main()
