"""`lema serve` behind HAProxy as a user starts it: what listens, who is let in, streams, and a killed HAProxy."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import httpx
import openai
import psutil
import pytest
from endpoint import ready, wait_until

from lema_ray.config import ConfigError
from lema_ray.engines.launch import free_port
from serve.config import KeyLimits
from serve.haproxy import HEADER_S, haproxy_can_be_in_front, put_haproxy_in_front
from serve.keys import add_key

pytestmark = [pytest.mark.serve, pytest.mark.timeout(400)]
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Iterator[tuple[str, str, int]]:
    """A URL, a key, and the server's process id; ended as users end it."""
    folder, port = tmp_path_factory.mktemp("haproxy"), free_port()
    key = add_key(folder / "keys.yaml", "tests", KeyLimits())
    command = [sys.executable, "-m", "lema_ray.cli", "serve", str(tiny_model), "--port", str(port)]
    command += ["--api-keys", str(folder / "keys.yaml"), "--set=engine.cpu_kv_cache_gb=0.25"]
    environment = {k: v for k, v in os.environ.items() if k != "RAY_ADDRESS"} | {"PYTHONPATH": str(REPOSITORY)}
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: server.poll() is not None or ready(url), 300)
        assert server.poll() is None, (folder / "log").read_text()
        yield url, key, server.pid
    finally:
        server.terminate()
        assert server.wait(90) == 0, (folder / "log").read_text()


def stream(url: str, key: str, number: int) -> str:
    client = openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0)
    model = client.models.list().data[0].id
    pieces = client.chat.completions.create(
        model=model,
        messages=[{"role": "user", "content": f"Tom has {number} apples."}],
        max_tokens=16,
        stream=True,
        extra_body={"ignore_eos": True},
        stream_options={"include_usage": True},
    )
    return "".join(str(piece.usage.completion_tokens) for piece in pieces if piece.usage)


def haproxies(pid: int) -> list[psutil.Process]:
    # Started again by Serve, it is nobody's child.
    name = str(psutil.Process(pid).environ().get("PYTHONPATH"))
    found = [p for p in psutil.process_iter(["name"]) if p.info["name"] == "haproxy"]
    return [p for p in found if p.environ().get("PYTHONPATH") == name]


def test_it_lets_in_who_has_a_key_and_streams_to_many(served: tuple[str, str, int]) -> None:
    url, key, _ = served
    assert httpx.get(f"{url}/v1/models").status_code == 401
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda number: stream(url, key, number), range(24))) == ["16"] * 24


def test_users_reach_what_listens_on_loopback_only(served: tuple[str, str, int]) -> None:
    _, _, pid = served
    replicas = [p for p in psutil.Process(pid).children(recursive=True) if "ServeRepl" in p.name()]
    for kind in (replicas, haproxies(pid)):
        # Ray's own ports are those of version 6; they want its token.
        found = [c.laddr for p in kind for c in p.net_connections("tcp4") if c.status == psutil.CONN_LISTEN]
        assert found and all(address.ip == "127.0.0.1" for address in found), found


def test_headers_without_end_and_headers_that_never_end_are_refused(served: tuple[str, str, int]) -> None:
    url, key, _ = served
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=60) as slow:
        slow.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n")
        with socket.create_connection((host, int(port)), timeout=60) as flood, suppress(ConnectionError):
            flood.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n" + b"x-filler: y\r\n" * 100_000)
            assert flood.recv(64).startswith(b"HTTP/1.1 400")
        assert stream(url, key, 1) == "16"
        begun = time.monotonic()
        assert slow.recv(64).startswith(b"HTTP/1.1 408") and time.monotonic() < begun + 2 * HEADER_S


def test_a_killed_haproxy_is_started_again(served: tuple[str, str, int]) -> None:
    url, key, pid = served
    (killed,) = haproxies(pid)
    killed.send_signal(signal.SIGKILL)
    wait_until(lambda: not killed.is_running(), 30)
    wait_until(lambda: ready(url), 60)
    assert stream(url, key, 1) == "16"


def test_where_it_is_not_in_front_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert haproxy_can_be_in_front(None, "127.0.0.1")
    assert not haproxy_can_be_in_front(None, "::1") and not haproxy_can_be_in_front("ray://there:10001", "127.0.0.1")
    monkeypatch.setenv("RAY_ADDRESS", "auto")
    assert not haproxy_can_be_in_front(None, "127.0.0.1")


def test_a_cluster_that_runs_has_its_proxy_already() -> None:
    with pytest.raises(ConfigError, match="ray://there:10001 runs already"):
        put_haproxy_in_front("ray://there:10001")
