"""Start an OpenAI-compatible server for as long as it is needed, and stop it afterwards.

Called by the commands that run stages, around everything that uses an `OpenAISpec` with `launch`.
"""

from __future__ import annotations

import http.client
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from lema_ray.engines import EngineUnavailable

if TYPE_CHECKING:
    from lema_ray.config import OpenAISpec

READY_TIMEOUT_S = 300.0
STOP_TIMEOUT_S = 10.0

# A server on loopback is never behind the proxy that the environment may name.
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@contextmanager
def launched(spec: OpenAISpec, log: Path, ready_timeout_s: float = READY_TIMEOUT_S) -> Iterator[OpenAISpec]:
    """The spec of the running server: `spec` itself without `launch`, else one with its `base_url` on loopback.

    `{port}` in the command becomes a free port and `{python}` this interpreter; its output goes to `log`. Raises
    `EngineUnavailable` with the end of the log when the command cannot start, ends, or does not answer in time.
    """
    if spec.launch is None:
        yield spec
        return
    port = free_port()
    ready = spec.model_copy(update={"base_url": f"http://127.0.0.1:{port}/v1", "launch": None})
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        server = _start(spec.launch, port, output.fileno())
    try:
        _wait_until_ready(server, f"{ready.base_url}/models", log, ready_timeout_s)
        yield ready
    finally:
        _stop(server)


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _start(command: str, port: int, output: int) -> subprocess.Popen[bytes]:
    words = [word.replace("{port}", str(port)).replace("{python}", sys.executable) for word in shlex.split(command)]
    try:
        return subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    except OSError as error:
        raise EngineUnavailable(f"the server cannot be started: {error} (launch: {command})") from error


def _wait_until_ready(server: subprocess.Popen[bytes], url: str, log: Path, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while not _answers(url):
        code = server.poll()
        if code is not None:
            raise EngineUnavailable(f"the launched server ended with exit code {code}; {_tail(log)}")
        if time.monotonic() > deadline:
            raise EngineUnavailable(f"the launched server did not answer at {url} in {timeout_s:.0f} s; {_tail(log)}")
        time.sleep(0.1)


def _answers(url: str) -> bool:
    """Whether a server is there and ready; one that asks for a key or has no list of models is."""
    try:
        with _DIRECT.open(url, timeout=5):
            return True
    except urllib.error.HTTPError as error:
        return error.code < 500
    except (OSError, http.client.HTTPException):
        return False


def _tail(log: Path, lines: int = 20) -> str:
    text = log.read_text(errors="replace").strip()
    return f"the end of {log}:\n" + "\n".join(text.splitlines()[-lines:]) if text else f"{log} is empty"


def _stop(server: subprocess.Popen[bytes]) -> None:
    """End the server and what it started: they are a process group of their own."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(server.pid, number)
        except ProcessLookupError:
            break
        try:
            server.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            continue
    server.wait()
    deadline = time.monotonic() + STOP_TIMEOUT_S
    while _has_members(server.pid) and time.monotonic() < deadline:
        time.sleep(0.02)


def _has_members(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
