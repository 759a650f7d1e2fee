"""The HTTP application on a scripted model, behind a real socket, for the tests of everything around the model."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn

from lema_ray.config import ScriptedSpec
from lema_ray.records import Message, Sampling
from lema_ray.self_correction.streams import Streaming
from serve.access_log import AccessLog
from serve.config import ServeConfig, parse_serve_config
from serve.desk import Desk, LocalDesk
from serve.keys import KeyRing
from serve.openai_api import make_app
from serve.scripted_backend import ScriptedBackend
from serve.service import Service

MODEL = "scripted"
SOLUTION = "Step 1: 2 + 3 = 5.\nThe answer is 5."
DOUBTING = "Step 1: 2 + 3 = 6.\nWait, that is wrong.\nStep 1: 2 + 3 = 5.\nThe answer is 5."


def solve(messages: Sequence[Message], sampling: Sampling) -> str:
    """The script: a solution, or one that doubts itself, by what the question says."""
    return DOUBTING if "doubt" in messages[-1].content else SOLUTION


def echo(messages: Sequence[Message], sampling: Sampling) -> str:
    """The script that says what it was asked last."""
    return messages[-1].content


class Served:
    """A server in a thread of its own."""

    def __init__(self, folder: Path, word_s: float, script: str, arguments: dict[str, Any]) -> None:
        self.log = folder / "access.log"
        self.config = parse_serve_config({"model": MODEL, "access_log": str(self.log), **arguments})
        self.backend = ScriptedBackend(ScriptedSpec(script=script, model=MODEL), word_s)
        self.service = _service(self.config, self.backend)
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        self.server = uvicorn.Server(uvicorn.Config(make_app(self.service), lifespan="off", log_level="error"))

    async def run(self) -> None:
        """Serve until told to stop."""
        await self.backend.start()
        self.service.ready = True
        await self.server.serve([self.socket])


def _service(config: ServeConfig, backend: ScriptedBackend) -> Service:
    desk = LocalDesk(Desk(config.feedback.remembered if config.feedback else 0))
    keys = KeyRing(config.keys) if config.keys else None
    advisers: dict[str, Streaming] = {}
    return Service(config, backend, desk, keys, AccessLog(config.access_log), advisers)


@contextmanager
def served(folder: Path, word_s: float = 0.0, script: str = "served:solve", **arguments: Any) -> Iterator[Served]:
    """A running server."""
    one = Served(folder, word_s, script, arguments)
    thread = threading.Thread(target=lambda: asyncio.run(one.run()), daemon=True)
    thread.start()
    while not one.server.started:
        assert thread.is_alive()
        os.sched_yield()
    try:
        yield one
    finally:
        one.server.should_exit = True
        thread.join(10)
