"""The demo's teachers as an OpenAI-compatible HTTP server on loopback, with all that goes wrong at real ones.

`lema fault-server --port 8123` serves `/v1/models`, `/v1/chat/completions` (whole or streamed), the Batch API, and
`/stats`, which counts requests by outcome. It is the rule-based teacher, which knows the demo's word problems, or with
`--solutions FILE` the annotated one, which knows that file's questions, or with
`--programs` the rule-based programmer. Faults (`faults`), a rate limit, latency and
a key can be switched on, so that what an API does to a pipeline is tested over a real connection. Needs extra `serve`.
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
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any

import uvicorn
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from lema_ray.demo import programmer
from lema_ray.demo.annotated import AnnotatedTeacher
from lema_ray.demo.batches import Batches
from lema_ray.demo.completions import MODEL, ChatRequest, Reply, chunks, complete, count_tokens
from lema_ray.demo.faults import CONTENT, NAMES, Faults, parse_faults
from lema_ray.demo.faulty import CutOff, ResettableHTTP, error, late, peer_is_allowed, refused, spoil
from lema_ray.demo.rules import reply
from lema_ray.demo.true_limit import TrueLimit
from lema_ray.errors import LemaError


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """How the server behaves. `port` 0 takes a free one; `api_key` None lets everybody in.

    `solutions` is a file of worked solutions for the annotated teacher; without it the rule-based one answers, or with
    `programs` the programmer, which does not answer as the teachers do: it is a student.
    """

    port: int = 0
    api_key: str | None = None
    faults: Faults = field(default_factory=Faults)
    latency_s: float = 0.0
    retry_after_s: float = 1.0
    error_rate: float = 0.0
    seed: int = 0
    solutions: str | None = None
    programs: bool = False
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    rate_headers: bool = False
    batch_s: float = 1.0
    batch_expired: float = 0.0


class TeacherServer:
    """The endpoints and their counts; `app` is the ASGI application."""

    def __init__(self, options: ServerOptions) -> None:
        self.options = options
        self.model, self._reply = _teacher(options)
        self.outcomes = Counter[str]()
        self.limit = TrueLimit(options.requests_per_minute, options.tokens_per_minute)
        self._rng = Random(options.seed)
        self._numbers = itertools.count(1)
        batches = Batches(self._batch_line, options.batch_s, lambda: self._rng.random() < options.batch_expired)
        routes = [
            *batches.routes,
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
        """Chat requests so far by outcome: `ok`, a status code, `limited` or a fault; and what the rate limit saw."""
        counts = {"requests": self.outcomes.total(), "outcomes": dict(self.outcomes)}
        limited = self.options.requests_per_minute or self.options.tokens_per_minute
        return JSONResponse(counts | ({"limit": self.limit.report()} if limited else {}))

    async def chat(self, http: Request) -> Response:
        """One chat completion, or one of the things that go wrong."""
        try:
            outcome, response = await self._respond(http)
        except asyncio.CancelledError:
            return error(503, "server_error", "The server is shutting down.")
        self.outcomes[outcome] += 1
        if self.options.rate_headers:
            response.headers.update(self.limit.headers())
        return response

    async def _respond(self, http: Request) -> tuple[str, Response]:
        if refusal := self._refusal(http):
            return "401", refusal
        try:
            request = ChatRequest.model_validate_json(await http.body())
        except ValidationError as problem:
            first = problem.errors()[0]
            where = ".".join(map(str, first["loc"])) or "body"
            return "400", error(400, "invalid_request_error", f"{where}: {first['msg']}")
        if request.model != self.model:
            what = f"The model {request.model!r} does not exist; use {self.model!r}."
            return "404", error(404, "not_found_error", what)
        wait = self.limit.admit(sum(count_tokens(m.to_record().content) for m in request.messages))
        if wait > 0:
            headers = {"Retry-After": f"{wait:.3f}"}
            return "limited", error(429, "rate_limit_error", "The rate limit of a minute is reached.", headers)
        fault = self.options.faults.draw(self._rng)
        extra = self.options.faults.seconds_of(fault) if fault in ("slow", "hang") else 0.0
        await asyncio.sleep(self.options.latency_s + extra)
        return fault, refused(fault, self.options.retry_after_s) or self._completion(request, fault)

    def _batch_line(self, request: ChatRequest) -> tuple[int, dict[str, Any]]:
        """The status and body of one line of a batch; a fault of the connection is an error of the server there."""
        fault = self.options.faults.draw(self._rng)
        self.outcomes[f"batch {fault}"] += 1
        if fault == "ok" or fault in CONTENT:
            return 200, self.complete(request, fault)
        return 500, {"error": {"message": f"The server had an error ({fault}).", "type": "server_error", "code": None}}

    def _refusal(self, http: Request) -> Response | None:
        if peer_is_allowed(http, self.options.api_key):
            return None
        return error(401, "authentication_error", "Incorrect API key provided.")

    def complete(self, request: ChatRequest, fault: str = "ok") -> dict[str, Any]:
        """The completion object for a request, spoilt by a fault of content."""
        as_json = fault in ("prose", "fence")
        completion = complete(request, self._reply, next(self._numbers), as_json)
        self.limit.count(completion["usage"]["completion_tokens"])
        return spoil(fault, completion) if fault in CONTENT else completion

    def _completion(self, request: ChatRequest, fault: str) -> Response:
        completion = self.complete(request, fault)
        if request.stream:
            pieces = list(chunks(completion))
            kept = pieces[: len(pieces) // 2] if fault == "cut" else pieces
            return StreamingResponse(iter(kept), media_type="text/event-stream")
        whole = JSONResponse(completion)
        if fault == "cut":
            return CutOff(bytes(whole.body), 0.8)
        return late(bytes(whole.body), self.options.faults.seconds_of(fault)) if fault == "slow_bytes" else whole


def _teacher(options: ServerOptions) -> tuple[str, Reply]:
    if options.programs:
        return programmer.MODEL, lambda messages, as_json, seed: programmer.reply(messages, seed)
    if options.solutions is None:
        return MODEL, lambda messages, as_json, seed: reply(messages, as_json, options.error_rate)
    teacher = AnnotatedTeacher(options.solutions)
    return teacher.model, lambda messages, as_json, seed: teacher.reply(messages, as_json)


def _server(teacher: TeacherServer, log_level: str) -> uvicorn.Server:
    config = uvicorn.Config(teacher.app, http=ResettableHTTP, log_level=log_level, timeout_graceful_shutdown=1)
    return uvicorn.Server(config)


@contextmanager
def running(options: ServerOptions) -> Iterator[str]:
    """The server in a thread of this process, for tests and benchmarks: yields its base URL, stops it afterwards."""
    with socket.create_server(("127.0.0.1", options.port)) as listener:
        server = _server(TeacherServer(options), "critical")
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
    parser = argparse.ArgumentParser(prog="lema fault-server", description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--api-key-env", help="environment variable with the key that clients must send")
    parser.add_argument("--faults", default="", help=f"name=share,...: all, {', '.join(NAMES)}")
    parser.add_argument("--latency-s", type=float, default=0.0)
    parser.add_argument("--retry-after-s", type=float, default=1.0)
    parser.add_argument("--error-rate", type=float, default=0.0, help="share of replies with a wrong number")
    parser.add_argument("--solutions", help="file of worked solutions to correct from, instead of the demo's rules")
    parser.add_argument("--programs", action="store_true", help="the rule-based programmer, a student that slips")
    parser.add_argument("--requests-per-minute", type=int, help="a limit that is enforced over any 60 s")
    parser.add_argument("--tokens-per-minute", type=int, help="the same for tokens, in and out")
    parser.add_argument("--rate-headers", action="store_true", help="tell clients of it in x-ratelimit headers")
    parser.add_argument("--batch-s", type=float, default=1.0, help="how long a batch takes")
    parser.add_argument(
        "--batch-expired", type=float, default=0.0, help="share of a batch's lines that it never reaches"
    )
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


def main(arguments: list[str] | None = None) -> None:
    """Serve until stopped; the first line printed says where."""
    options = read_options(sys.argv[1:] if arguments is None else arguments)
    try:
        teacher = TeacherServer(options)
    except LemaError as problem:
        sys.exit(f"error: {problem}")
    listener = socket.create_server(("127.0.0.1", options.port))
    print(f"{teacher.model} at http://127.0.0.1:{listener.getsockname()[1]}/v1", flush=True)
    _server(teacher, "warning").run(sockets=[listener])


if __name__ == "__main__":
    main()
