"""The server over real connections: the OpenAI client's view of it, its errors and its injected faults."""

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from http.client import HTTPException
from typing import Any

import openai
import pytest

from lema_ray.demo.completions import MODEL
from lema_ray.demo.faults import Faults, parse_faults
from lema_ray.demo.server import ServerOptions, running
from lema_ray.demo.word_problems import generate

PROBLEM = next(generate(1, 0))
ASKED: Any = [{"role": "user", "content": PROBLEM.question.text}]


def client(url: str, key: str = "none") -> openai.OpenAI:
    return openai.OpenAI(base_url=url, api_key=key, max_retries=0)


def test_the_openai_client_gets_whole_streamed_and_cut_replies() -> None:
    with running(ServerOptions()) as url:
        chat = client(url).chat.completions
        assert [m.id for m in client(url).models.list()] == [MODEL]
        whole = chat.create(model=MODEL, messages=ASKED, n=2)
        assert [c.message.content for c in whole.choices] == [PROBLEM.question.solution] * 2
        assert whole.choices[0].finish_reason == "stop"
        assert whole.usage and whole.usage.total_tokens == whole.usage.prompt_tokens + whole.usage.completion_tokens
        pieces = list(chat.create(model=MODEL, messages=ASKED, stream=True))
        assert "".join(c.choices[0].delta.content or "" for c in pieces if c.choices) == PROBLEM.question.solution
        assert len(pieces) > 3 and pieces[-1].usage
        cut = chat.create(model=MODEL, messages=ASKED, max_tokens=5)
        assert cut.choices[0].finish_reason == "length"
        assert cut.usage and cut.usage.completion_tokens == 5


def test_errors_have_the_openai_shape() -> None:
    with running(ServerOptions(api_key="right")) as url:
        with pytest.raises(openai.AuthenticationError, match="Incorrect API key"):
            client(url, "wrong").chat.completions.create(model=MODEL, messages=ASKED)
        with pytest.raises(openai.AuthenticationError):
            client(url, "wrong").models.list()
        with pytest.raises(openai.NotFoundError, match="other-model"):
            client(url, "right").chat.completions.create(model="other-model", messages=ASKED)
        with pytest.raises(openai.BadRequestError, match="messages"):
            client(url, "right").chat.completions.create(model=MODEL, messages=[])
        counts = json.load(urllib.request.urlopen(url.replace("/v1", "/stats")))
    assert counts == {"requests": 3, "outcomes": {"401": 1, "404": 1, "400": 1}}


def outcome(url: str) -> str:
    body = json.dumps({"model": MODEL, "messages": ASKED, "max_tokens": 400}).encode()
    request = urllib.request.Request(f"{url}/chat/completions", body, {"content-type": "application/json"})
    try:
        json.load(urllib.request.urlopen(request, timeout=10))
    except urllib.error.HTTPError as error:
        assert error.code != 429 or float(error.headers["Retry-After"]) == 0.25
        return str(error.code)
    except json.JSONDecodeError:
        return "malformed"
    except HTTPException:
        return "disconnect"
    return "ok"


def test_faults_come_as_often_as_asked_and_the_same_by_seed() -> None:
    faults = parse_faults("rate_429=0.2,rate_500=0.1,disconnect=0.1,malformed=0.1,slow=0.1:0.01")
    seen = []
    for _ in range(2):
        with running(ServerOptions(faults=faults, seed=3, retry_after_s=0.25)) as url:
            seen.append([outcome(url) for _ in range(200)])
            counts = json.load(urllib.request.urlopen(url.replace("/v1", "/stats")))["outcomes"]
    assert seen[0] == seen[1]
    met = {"429": "rate_429", "500": "rate_500", "disconnect": "disconnect", "malformed": "malformed"}
    assert {k: seen[1].count(k) for k in met} == {k: counts[name] for k, name in met.items()}
    assert counts["ok"] + counts["slow"] == seen[1].count("ok")
    assert 25 <= counts["rate_429"] <= 58 and 8 <= counts["rate_500"] <= 35


def test_faults_are_read_strictly() -> None:
    assert parse_faults("") == Faults()
    assert dict(parse_faults("slow=0.5:2").seconds)["slow"] == 2.0
    assert sum(share for _, share in parse_faults("all=0.3").shares) == pytest.approx(0.3)
    for wrong in ("rate_430=0.1", "rate_429=2", "rate_429=x", "rate_429=0.1:3", "rate_429=0.7,slow=0.7"):
        with pytest.raises(ValueError, match=wrong.split(",")[0]):
            parse_faults(wrong)


def test_the_command_says_where_it_serves_and_serves_there() -> None:
    command = [sys.executable, "-m", "lema_ray.cli", "fault-server", "--api-key-env", "TEACHER_KEY"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "TEACHER_KEY": "k"}) as server:
        try:
            assert server.stdout
            url = server.stdout.readline().split()[-1]
            reply = client(url, "k").chat.completions.create(model=MODEL, messages=ASKED)
            assert reply.choices[0].message.content == PROBLEM.question.solution
        finally:
            server.terminate()
    refused = subprocess.run([*command[:-1], "UNSET_KEY"], capture_output=True, text=True)
    assert refused.returncode == 2 and "UNSET_KEY is not set" in refused.stderr
