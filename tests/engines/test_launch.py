"""A server for the run's duration: started, waited for, stopped with all its children."""

from __future__ import annotations

import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from lema_ray.config import OpenAISpec
from lema_ray.engines import EngineUnavailable, open_engine
from lema_ray.engines.launch import launched
from lema_ray.records import Message, Sampling

SERVER = Path(__file__).with_name("fake_endpoint.py")


def listening(url: str) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", urlsplit(url).port)) == 0


async def test_a_launched_server_answers_and_is_gone_afterwards(tmp_path: Path) -> None:
    # Through a shell, so that the server is a grandchild.
    spec = OpenAISpec(model="babbler", launch=f"sh -c '{{python}} {SERVER} {{port}}; true'")
    with launched(spec, tmp_path / "logs" / "server.log") as ready:
        assert ready.launch is None and ready.base_url is not None
        engine = open_engine(ready)
        await engine.start()
        assert (await engine([Message("user", "hello")], Sampling(max_tokens=4))).completion_tokens == 4
        await engine.close()
    assert not listening(ready.base_url)


def test_without_launch_the_spec_is_left_alone(tmp_path: Path) -> None:
    spec = OpenAISpec(model="babbler")
    with launched(spec, tmp_path / "server.log") as ready:
        assert ready is spec
    assert not list(tmp_path.iterdir())


def test_a_server_that_ends_shows_its_last_words(tmp_path: Path) -> None:
    spec = OpenAISpec(model="babbler", launch=f"env FAIL=1 {{python}} {SERVER} {{port}}")
    with (
        pytest.raises(EngineUnavailable, match=r"exit code 1(.|\n)*cannot load the model"),
        launched(spec, tmp_path / "l"),
    ):
        pass


def test_a_command_that_does_not_exist_is_named(tmp_path: Path) -> None:
    spec = OpenAISpec(model="babbler", launch="no-such-command --port {port}")
    with pytest.raises(EngineUnavailable, match="no-such-command"), launched(spec, tmp_path / "l"):
        pass


def test_a_server_that_never_answers_is_given_up_and_stopped(tmp_path: Path) -> None:
    spec = OpenAISpec(model="babbler", launch="sleep 60")
    with pytest.raises(EngineUnavailable, match="did not answer"), launched(spec, tmp_path / "l", ready_timeout_s=0.5):
        pass
