"""The endpoint as OpenAI's own client sees it, and as a client that means harm: no engine, a real socket."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from served import DOUBTING, MODEL, SOLUTION, Served, served

from lema_ray.attempts import INSTRUCTIONS
from serve.config import KeyLimits
from serve.keys import add_key

ASK: list[Any] = [{"role": "user", "content": "What is 2 + 3?"}]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("open")) as one:
        yield one


@pytest.fixture(scope="module")
def client(server: Served) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as one:
        yield one


def post(server: Served, body: Any, path: str = "/v1/chat/completions", **headers: str) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return httpx.post(server.url + path, content=content, headers={"content-type": "application/json", **headers})


def last_line(server: Served) -> dict[str, Any]:
    return dict(json.loads(server.log.read_text().splitlines()[-1]))


def test_a_chat(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model=MODEL, messages=ASK)
    assert answer.choices[0].message.content == SOLUTION
    assert answer.usage is not None and answer.usage.completion_tokens == len(SOLUTION.split())
    assert answer.id.startswith("chatcmpl-")
    assert [card.id for card in client.models.list()] == [MODEL]


def test_a_stream_ends_with_its_usage(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(
        model=MODEL, messages=ASK, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == SOLUTION
    assert chunks[-1].usage is not None and chunks[-1].usage.total_tokens > 0


def test_a_completion_stops_where_it_is_told(client: openai.OpenAI) -> None:
    answer = client.completions.create(model=MODEL, prompt="2 + 3", stop=["\n"])
    assert answer.choices[0].text == SOLUTION.partition("\n")[0]


def test_a_policy_by_suffix_and_by_field(client: openai.OpenAI) -> None:
    doubted: list[Any] = [{"role": "user", "content": "Please doubt 2 + 3."}]
    by_suffix = client.chat.completions.create(model=f"{MODEL}:spontaneous", messages=doubted)
    by_field = client.chat.completions.create(
        model=MODEL, messages=doubted, extra_body={"self_correction": {"policy": "spontaneous"}}
    )
    for answer in (by_suffix, by_field):
        trace = answer.model_dump()["self_correction"]
        assert answer.choices[0].message.content == DOUBTING
        assert trace["policy"] == "spontaneous" and trace["stop_reason"] == "doubted"
        assert trace["final_answer"] == "5" and len(trace["doubts"]) == 1
        doubt = trace["doubts"][0]
        assert "wrong" in trace["drafts"][0]["text"][doubt["start"] : doubt["stop"]]


@pytest.mark.parametrize("policy", ["off", "spontaneous", "revise"])
@pytest.mark.parametrize("wanted", ["final", "full"])
def test_plain_clients_read_of_a_stream_what_the_answer_would_hold(server: Served, policy: str, wanted: str) -> None:
    body = {"messages": ASK, "self_correction": {"policy": policy, "return": wanted}}
    whole = post(server, body).json()
    streamed = post(server, body | {"stream": True, "stream_options": {"include_usage": True}})
    assert streamed.headers["content-type"].startswith("text/event-stream")
    events = [line.removeprefix("data: ") for line in streamed.text.split("\n\n") if line]
    assert events.pop() == "[DONE]"
    chunks = [json.loads(event) for event in events]
    text = "".join(c["choices"][0]["delta"].get("content", "") for c in chunks if c["choices"])
    assert text == whole["choices"][0]["message"]["content"]
    assert chunks[-1]["usage"] == whole["usage"]
    said = [c["self_correction"] for c in chunks if "self_correction" in c]
    pieces = [event["text"] for event in said if event["event"] == "piece" and event["draft"] == 0]
    assert "".join(pieces) == said[-1]["drafts"][0]["text"]
    assert said[0]["event"] == "draft" and said[-1]["event"] == "final"
    assert whole["usage"]["total_tokens"] == said[-1]["prompt_tokens"] + said[-1]["completion_tokens"]


def test_errors_are_openai_s(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as missing:
        client.chat.completions.create(model="nobody", messages=ASK)
    assert missing.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError) as unknown:
        client.chat.completions.create(model=MODEL, messages=ASK, extra_body={"self_correction": "guess"})
    assert "guess" in str(unknown.value) and unknown.value.param == "self_correction.policy"


ABUSES: dict[str, tuple[Any, int]] = {
    "no JSON": (b"{", 400),
    "an array": (b"[]", 400),
    "a number without end": (b'{"max_tokens": ' + b"9" * 5000 + b"}", 400),
    "infinity": (b'{"messages": [], "temperature": Infinity}', 400),
    "not UTF-8": (b'{"messages": "\xff"}', 400),
    "half a surrogate": (b'{"messages": [{"role": "user", "content": "\\ud800"}]}', 400),
    "deep arrays": (b'{"messages": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", 400),
    "deep objects": (b'{"a":' * 50_000 + b"1" + b"}" * 50_000, 400),
    "deep tools": (b'{"messages": [], "tools": [' + b'{"a":' * 400 + b"1" + b"}" * 400 + b"]}", 400),
    "no messages": ({}, 400),
    "empty messages": ({"messages": []}, 400),
    "too many messages": ({"messages": ASK * 300}, 400),
    "an unknown role": ({"messages": [{"role": "root", "content": "x"}]}, 400),
    "an image": (
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "file:///etc"}}]}]},
        400,
    ),
    "huge n": ({"messages": ASK, "n": 10**9}, 400),
    "huge max_tokens": ({"messages": ASK, "max_tokens": 10**30}, 400),
    "negative max_tokens": ({"messages": ASK, "max_tokens": -1}, 400),
    "a bool for a number": ({"messages": ASK, "temperature": True}, 400),
    "a policy and tools": ({"messages": ASK, "self_correction": "revise", "tools": [{"type": "function"}]}, 400),
    "an unknown policy key": ({"messages": ASK, "self_correction": {"polcy": "off"}}, 400),
    "a policy of no sense": ({"messages": ASK, "self_correction": {"policy": "revise", "max_revisions": -5}}, 400),
    "too many samples": ({"messages": ASK, "self_correction": {"policy": "revise", "samples": 10**6}}, 400),
    "a large body": (b'{"messages": "' + b"x" * (1 << 20) + b'"}', 413),
    "unknown fields": ({"messages": ASK, "nonsense": {"deep": [1]}, "chat_template": "{{ 1/0 }}", "priority": 9}, 200),
    "null fields": ({"messages": ASK, "stop": None, "temperature": None, "n": None, "self_correction": None}, 200),
    "emoji and controls": ({"messages": [{"role": "user", "content": "\u0000\ud83d\ude00‮"}]}, 200),
}


@pytest.mark.parametrize("name", ABUSES)
def test_every_abuse_is_an_answer_with_a_reason(server: Served, name: str) -> None:
    body, status = ABUSES[name]
    answer = post(server, body)
    assert answer.status_code == status, answer.text
    if status != 200:
        error = answer.json()["error"]
        assert error["message"] and error["code"] and error["type"] == "invalid_request_error"
    assert post(server, {"messages": ASK}).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/chat/completions", 405),
        ("OPTIONS", "/v1/chat/completions", 405),
        ("POST", "/v1/nothing", 404),
        ("GET", "/v1/models/no/such", 404),
        ("GET", "/../../etc/passwd", 404),
        ("GET", "/docs", 404),
        ("POST", "/v1/feedback", 415),
    ],
)
def test_what_is_not_served_is_said_in_openai_s_form(server: Served, method: str, path: str, status: int) -> None:
    answer = httpx.request(method, server.url + path)
    assert answer.status_code == status and answer.json()["error"]["code"]
    assert "access-control-allow-origin" not in answer.headers
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_a_body_that_comes_in_chunks_is_counted_as_it_comes(server: Served) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(10_000):
            yield b" " * 1024

    try:
        answer = httpx.post(
            f"{server.url}/v1/chat/completions", content=chunks(), headers={"content-type": "application/json"}
        )
    except httpx.WriteError:
        return  # The server had answered and closed before all of it was sent.
    assert answer.status_code == 413


def test_a_slow_body_is_cut_off(tmp_path: Path) -> None:
    with (
        served(tmp_path, caps={"body_seconds": 0.2}) as one,
        socket.create_connection(one.socket.getsockname()) as slow,
    ):
        slow.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n")
        slow.sendall(b"content-length: 100\r\n\r\n{")
        assert slow.recv(64).startswith(b"HTTP/1.1 408")
        assert post(one, {"messages": ASK}).status_code == 200


def test_readiness_needs_an_answer(server: Served) -> None:
    assert httpx.get(f"{server.url}/readyz").json() == {"status": "ready", "model": MODEL}
    server.service.ready = False
    try:
        answer = httpx.get(f"{server.url}/readyz")
    finally:
        server.service.ready = True
    assert answer.status_code == 503 and answer.headers["retry-after"]
    assert httpx.get(f"{server.url}/healthz").status_code == 200


def test_keys_are_asked_for_everywhere_but_at_the_door(tmp_path: Path) -> None:
    file = tmp_path / "keys.yaml"
    secret = add_key(file, "anna", KeyLimits())
    with served(tmp_path, keys=str(file)) as one:
        for path in ("/v1/models", "/metrics", "/v1/../v1/models", "//v1/models", "/V1/MODELS", "/%2e/metrics", "/x"):
            assert httpx.get(one.url + path).status_code == 401, path
        for path in ("/healthz", "/readyz", "/openapi.json"):
            assert httpx.get(one.url + path).status_code == 200
        bad = [
            "",
            "Bearer",
            f"Basic {secret}",
            f"Bearer {secret}x",
            "Bearer " + "x" * 5000,
            "Bearer ключ".encode(),
        ]
        for value in bad:
            answer = httpx.get(
                f"{one.url}/v1/models",
                headers=[(b"authorization", value.encode() if isinstance(value, str) else value)],
            )
            assert answer.status_code == 401 and answer.json()["error"]["code"] == "invalid_api_key", value
        twice = [("authorization", f"Bearer {secret}"), ("authorization", "Bearer other")]
        assert httpx.get(f"{one.url}/v1/models", headers=twice).status_code == 401
        assert httpx.get(f"{one.url}/v1/models?key={secret}").status_code == 401
        assert httpx.get(f"{one.url}/v1/models", headers={"authorization": f"bearer {secret}"}).status_code == 200
        answer = post(one, {"messages": ASK}, authorization=f"Bearer {secret}")
        assert answer.status_code == 200
        log = one.log.read_text()
    assert secret not in log and "2 + 3" not in log
    assert json.loads(log.splitlines()[-1])["key"] == "anna"


def test_limits_are_429_with_a_time(tmp_path: Path) -> None:
    file = tmp_path / "keys.yaml"
    anna = add_key(file, "anna", KeyLimits(requests_per_minute=2))
    ben = add_key(file, "ben", KeyLimits(tokens_per_minute=300))
    with served(tmp_path, keys=str(file)) as one:
        body = {"messages": ASK, "max_tokens": 200}
        assert [post(one, body, authorization=f"Bearer {anna}").status_code for _ in range(3)] == [200, 200, 429]
        # 200 tokens are held until the answer is there, and then the few that it took.
        assert [post(one, body, authorization=f"Bearer {ben}").status_code for _ in range(3)] == [200, 200, 200]
        answer = post(one, {"messages": ASK, "max_tokens": 290}, authorization=f"Bearer {ben}")
    assert answer.status_code == 429 and int(answer.headers["retry-after"]) >= 1
    assert answer.json()["error"]["code"] == "rate_limit_exceeded"


def test_a_full_replica_says_when_to_come_again_and_a_client_that_leaves_makes_room(tmp_path: Path) -> None:
    with served(tmp_path, word_s=0.5, caps={"in_flight": 1}) as one:
        with httpx.stream("POST", f"{one.url}/v1/chat/completions", json={"messages": ASK, "stream": True}) as slow:
            lines = slow.iter_lines()
            next(lines)
            answer = post(one, {"messages": ASK})
            assert answer.status_code == 503 and answer.headers["retry-after"] == "1"
        wait_until(lambda: one.service.running == 0 and one.backend.running == 0)
        wait_until(lambda: last_line(one)["ended"] == "left")
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"{one.url}/v1/chat/completions", json={"messages": ASK}, timeout=0.3)
        wait_until(lambda: one.service.running == 0 and one.backend.running == 0)


def test_an_answer_has_its_time(tmp_path: Path) -> None:
    with served(tmp_path, word_s=0.2, caps={"seconds": 0.5}) as one:
        answer = post(one, {"messages": ASK})
        assert answer.status_code == 504 and answer.json()["error"]["code"] == "timeout"
        streamed = post(one, {"messages": ASK, "stream": True}).text
        *_, error, done = [line for line in streamed.split("\n\n") if line]
        assert json.loads(error.removeprefix("data: "))["error"]["code"] == "timeout" and done == "data: [DONE]"
        wait_until(lambda: one.backend.running == 0)


def test_metrics_count_what_was_corrected(server: Served) -> None:
    before = _metric(server, "lema_doubts_total", "spontaneous")
    post(server, {"messages": [{"role": "user", "content": "doubt"}], "self_correction": "spontaneous"})
    assert _metric(server, "lema_doubts_total", "spontaneous") == before + 1
    assert _metric(server, "lema_extra_tokens_total", "spontaneous") > 0


def test_request_ids_come_back_where_they_are_sane(server: Served) -> None:
    answer = post(server, {"messages": ASK}, **{"x-request-id": "my-id.1"})
    assert answer.headers["x-request-id"] == "my-id.1" and answer.json()["id"] == "chatcmpl-my-id.1"
    wait_until(lambda: last_line(server)["request_id"] == "my-id.1")
    odd = post(server, {"messages": ASK}, **{"x-request-id": 'a b"c'})
    assert odd.headers["x-request-id"] != 'a b"c'


def _metric(server: Served, name: str, policy: str) -> float:
    lines = httpx.get(f"{server.url}/metrics").text.splitlines()
    wanted = f'{name}{{model="{MODEL}",policy="{policy}"}} '
    return next((float(line.removeprefix(wanted)) for line in lines if line.startswith(wanted)), 0.0)


def wait_until(condition: Any, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_question_gets_the_instruction_it_was_taught_with(tmp_path: Path) -> None:
    instruction = INSTRUCTIONS["math"]
    asked: list[Any] = [
        [{"role": "user", "content": "What is 2 + 3?"}],
        [{"role": "user", "content": [{"type": "text", "text": "What is 2 + 3?"}]}],
        [{"role": "user", "content": f"What is 2 + 3?\n\n{instruction}"}],
        [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi"}],
    ]
    with served(tmp_path, script="served:echo", task="math") as server:
        for policy in (None, "spontaneous"):
            said = []
            for messages in asked:
                answer = post(server, {"model": MODEL, "messages": messages, "self_correction": policy}).json()
                said.append(answer["choices"][0]["message"]["content"])
            assert said == [f"What is 2 + 3?\n\n{instruction}"] * 3 + ["Hi"]
        assert httpx.get(f"{server.url}/v1/models").json()["data"][0]["task"] == "math"
