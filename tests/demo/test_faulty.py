"""Every fault as a client meets it, and the rate limit that the server enforces."""

import json
import time
import urllib.request
from typing import Any

import httpx2
import openai
import pytest

from lema_ray.demo import true_limit
from lema_ray.demo.completions import MODEL
from lema_ray.demo.faults import NAMES, parse_faults
from lema_ray.demo.server import ServerOptions, running
from lema_ray.demo.word_problems import generate

QUESTION = next(generate(1, 0)).question
ASKED: Any = [{"role": "user", "content": QUESTION.text}]


def ask(fault: str, **more: Any) -> Any:
    with running(ServerOptions(faults=parse_faults(fault), retry_after_s=0.5)) as url:
        client = openai.OpenAI(base_url=url, api_key="none", max_retries=0, timeout=1.0)
        reply = client.chat.completions.create(model=MODEL, messages=ASKED, **more)
        return list(reply) if more.get("stream") else reply


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("rate_429=1", openai.RateLimitError),
        ("rate_429_bare=1", openai.RateLimitError),
        ("rate_500=1", openai.InternalServerError),
        ("rate_503=1", openai.InternalServerError),
        ("hang=1:5", openai.APITimeoutError),
        ("reset=1", openai.APIConnectionError),
        ("disconnect=1", openai.APIConnectionError),
        ("cut=1", openai.APIConnectionError),
        ("malformed=1", json.JSONDecodeError),
    ],
)
def test_faults_of_the_connection(fault: str, error: type[Exception]) -> None:
    with pytest.raises(error) as raised:
        ask(fault)
    if isinstance(raised.value, openai.RateLimitError):
        assert raised.value.response.headers.get("retry-after") == ("0.5" if fault == "rate_429=1" else None)


def test_slow_bytes_never_stop_for_long_and_take_their_time() -> None:
    began = time.monotonic()
    # The client waits a second for each read, not for the whole.
    assert ask("slow_bytes=1:2").choices[0].message.content == QUESTION.solution
    assert time.monotonic() - began > 1.8


def test_a_stream_is_cut_before_its_end() -> None:
    assert ask("cut=1", stream=True)[-1].choices[0].finish_reason is None
    assert ask("", stream=True)[-1].usage


def test_faults_of_the_content() -> None:
    said = {name: ask(f"{name}=1") for name in (*NAMES[-9:], "wrong_json")}
    choices = {name: reply.choices[0] for name, reply in said.items() if reply.choices}
    text = {name: choice.message.content for name, choice in choices.items()}
    assert text["prose"].startswith("Of course!") and text["fence"].startswith("```json\n")
    assert set(json.loads(text["other_json"])) == {"verdict", "confidence"}
    assert text["empty"] == "" and text["refusal"] is None and choices["refusal"].message.refusal
    assert choices["content_filter"].finish_reason == "content_filter" and choices["length"].finish_reason == "length"
    assert 0 < len(text["length"]) < len(QUESTION.solution or "") and len(text["huge"]) > 1_000_000
    assert said["wrong_model"].model != MODEL and said["wrong_json"].choices is None


def test_the_limit_is_enforced_and_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(true_limit, "WINDOW_S", 1.0)
    with running(ServerOptions(requests_per_minute=5, rate_headers=True)) as url:

        def post() -> httpx2.Response:
            return httpx2.post(f"{url}/chat/completions", json={"model": MODEL, "messages": ASKED})

        first = [post() for _ in range(7)]
        assert [r.status_code for r in first] == [200] * 5 + [429] * 2
        assert first[0].headers["x-ratelimit-remaining-requests"] == "4"
        time.sleep(float(first[-1].headers["retry-after"]) + 0.01)
        assert post().status_code == 200
        stats = json.load(urllib.request.urlopen(url.replace("/v1", "/stats")))
    assert stats["limit"] == {
        "allowed": {"requests": 5, "tokens": None},
        "most": {"requests": 5, "tokens": stats["limit"]["most"]["tokens"]},
        "refused": 2,
    }
    with running(ServerOptions(tokens_per_minute=100)) as url:
        codes = [post().status_code for _ in range(4)]
    assert codes[0] == 200 and codes[-1] == 429
