"""A small model of word problems on Ray Serve, as clients, operators and accidents meet it."""

from __future__ import annotations

import json
import os
import time
from typing import Any

import httpx
import openai
import psutil
import pytest
from endpoint import Endpoint, ready, wait_until
from soak import Outcomes, load_for

from lema_ray.config import ImportConfig
from lema_ray.questions.imported import read_attempts

pytestmark = [pytest.mark.serve, pytest.mark.ray, pytest.mark.vllm, pytest.mark.timeout(700)]

MODEL = "word-problems"
ASK: list[Any] = [{"role": "user", "content": "Tom has 2 apples and buys 3 more. How many apples does Tom have?"}]


@pytest.fixture(scope="module")
def client(endpoint: Endpoint) -> openai.OpenAI:
    return endpoint.client(timeout=120)


def test_it_is_ready_when_it_has_answered(endpoint: Endpoint, client: openai.OpenAI) -> None:
    assert httpx.get(f"{endpoint.url}/readyz").json()["status"] == "ready"
    assert httpx.get(f"{endpoint.url}/v1/models").status_code == 401
    assert [card.id for card in client.models.list()] == [MODEL]
    assert httpx.get(endpoint.url).headers["content-type"].startswith("text/html")


@pytest.mark.usefixtures("endpoint")
def test_an_engine_on_a_cpu_is_one_process() -> None:
    (replica,) = _replicas()
    below = [_command(process) for process in psutil.Process(replica).children(recursive=True)]
    # By what they were started for: whether vLLM's names for its processes show depends on their environment's order.
    engines = [command for command in below if "resource_tracker" not in " ".join(command)]
    assert len(engines) == 1, below


def test_what_openai_s_client_may_ask_for(client: openai.OpenAI) -> None:
    ask = client.chat.completions.create
    several = ask(model=MODEL, messages=ASK, n=3, temperature=1.0)
    assert len(several.choices) == 3 and several.usage is not None and several.usage.completion_tokens > 3
    seeded = [ask(model=MODEL, messages=ASK, seed=7, temperature=1.0).choices[0].message.content for _ in range(2)]
    assert seeded[0] == seeded[1]
    stopped = ask(model=MODEL, messages=ASK, stop=["\n"]).choices[0]
    assert "\n" not in (stopped.message.content or "") and stopped.finish_reason == "stop"
    probable = ask(model=MODEL, messages=ASK, logprobs=True, top_logprobs=2, max_tokens=3).choices[0].logprobs
    assert probable is not None and len(probable.content or ()) == 3
    assert all(len(token.top_logprobs) == 2 for token in probable.content or ())
    completion = client.completions.create(model=MODEL, prompt="Step 1: 2 + 3 =", max_tokens=4, echo=True, logprobs=1)
    assert completion.choices[0].text.startswith("Step 1: 2 + 3 =")


@pytest.mark.parametrize("parts", [False, True])
def test_template_tokens_in_a_message_are_text(client: openai.OpenAI, parts: bool) -> None:
    def asked(text: str) -> openai.types.CompletionUsage:
        content: Any = [{"type": "text", "text": text}] if parts else text
        answer = client.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": content}], max_tokens=2
        )
        assert answer.usage is not None
        return answer.usage

    nothing = asked("a b").prompt_tokens
    assert asked("a<|end|> b").prompt_tokens > nothing + 1, "a mark that is obeyed is one token"
    with pytest.raises(openai.BadRequestError, match="mark of the model's chat template"):
        client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "a", "name": "<|end|>"}])


def test_an_answer_fits_its_schema(client: openai.OpenAI) -> None:
    schema = {"type": "string", "enum": ["five", "six"]}
    answer = client.chat.completions.create(
        model=MODEL,
        messages=ASK,
        max_tokens=60,
        response_format={"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}},
    )
    assert json.loads(answer.choices[0].message.content or "") in schema["enum"]


def test_a_stream_says_what_it_used(client: openai.OpenAI) -> None:
    body: dict[str, Any] = {"model": MODEL, "messages": ASK, "seed": 3, "temperature": 1.0}
    chunks = list(client.chat.completions.create(**body, stream=True, stream_options={"include_usage": True}))
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    whole = client.chat.completions.create(**body)
    assert text == whole.choices[0].message.content and chunks[-1].usage == whole.usage


@pytest.mark.parametrize("policy", ["off", "spontaneous", "revise", "critique", "verify", "vote"])
def test_every_policy_answers_with_its_trace(client: openai.OpenAI, policy: str) -> None:
    answer = client.chat.completions.create(
        model=f"{MODEL}:{policy}", messages=ASK, extra_body={"self_correction": {"samples": 3}}
    )
    trace = answer.model_dump()["self_correction"]
    assert trace["policy"] == policy and trace["stop_reason"] and trace["drafts"][0]["text"]
    assert answer.choices[0].message.content == trace["drafts"][trace["final_draft"]]["text"]
    assert answer.usage is not None
    assert answer.usage.completion_tokens == trace["completion_tokens"] >= (3 if policy == "vote" else 1)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"model": "nobody"}, "model_not_found"),
        ({"messages": [{"role": "user", "content": "a b c " * 2000}]}, "context_length_exceeded"),
        ({"messages": [{"role": "user", "content": "a b c " * 2000}], "stream": True}, "context_length_exceeded"),
        ({"messages": [{"role": "user", "content": "a b " * 2000}], "model": f"{MODEL}:revise"}, "invalid_value"),
        ({"max_tokens": 100_000}, "context_length_exceeded"),
        ({"logit_bias": {"999999": 5}}, "invalid_value"),
        ({"logit_bias": {"x": 5}}, "invalid_value"),
        ({"stop_token_ids": [2**31 - 1]}, "invalid_value"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "y"}}}},
            "invalid_value",
        ),
        ({"tools": [{"x": 1}]}, "invalid_value"),
        ({"continue_final_message": True}, "invalid_value"),
    ],
)
def test_what_the_model_cannot_do_is_a_400_with_a_reason(endpoint: Endpoint, fields: dict[str, Any], code: str) -> None:
    answer = _post(endpoint, {"model": MODEL, "messages": ASK} | fields)
    assert answer.status_code in (400, 404), answer.text
    assert answer.json()["error"]["code"] == code and answer.json()["error"]["message"]


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_leaves_frees_its_place_in_the_engine(endpoint: Endpoint, stream: bool) -> None:
    body = {"messages": ASK, "stream": stream, "max_tokens": 450, "n": 8, "ignore_eos": True}
    left, url = _lines(endpoint, "left"), f"{endpoint.url}/v1/chat/completions"
    if stream:
        with httpx.stream("POST", url, json=body, headers=_key(endpoint), timeout=60) as answer:
            lines = answer.iter_lines()
            next(lines)
    else:
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(url, json=body, headers=_key(endpoint), timeout=0.3)
    wait_until(lambda: _running(endpoint) == 0)
    wait_until(lambda: _lines(endpoint, "left") == left + 1)


def test_a_verdict_becomes_an_attempt_of_a_next_run(endpoint: Endpoint, client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model=f"{MODEL}:spontaneous", messages=ASK)
    verdict = {"request_id": answer.id, "verdict": "wrong", "reference": "5", "comment": "he has five"}
    # The answer is remembered a moment after it is sent.
    wait_until(lambda: _post(endpoint, verdict, "/v1/feedback").status_code == 200)
    assert _post(endpoint, {"request_id": "unknown", "verdict": "wrong"}, "/v1/feedback").status_code == 404
    [file] = (endpoint.folder / "feedback").glob("*.jsonl")
    row = json.loads(file.read_text().splitlines()[-1])
    assert row["trace"]["drafts"][0]["text"] == row["solution"] and row["comment"] == "he has five"
    [(question, attempt), *_] = read_attempts(ImportConfig(path=str(file)))
    assert question.text == ASK[0]["content"] and question.reference == "5"
    assert attempt.text == answer.choices[0].message.content and attempt.model == MODEL


def test_metrics_show_the_engine_and_the_corrections(endpoint: Endpoint) -> None:
    text = httpx.get(f"{endpoint.url}/metrics", headers=_key(endpoint)).text
    for name in (
        "vllm:num_requests_running",
        "vllm:time_to_first_token_seconds_bucket",
        "vllm:generation_tokens_total",
    ):
        assert name in text
    assert f'lema_requests_total{{model="{MODEL}",policy="revise",status="200"}}' in text


def test_nothing_secret_is_written_down(endpoint: Endpoint) -> None:
    log = (endpoint.folder / "access.log").read_text()
    assert endpoint.key not in log and "apples" not in log
    assert all(json.loads(line)["request_id"] for line in log.splitlines())


def test_five_minutes_of_everything(endpoint: Endpoint) -> None:
    """Four clients of every kind, a killed replica, a replaced model; nothing is lost but the killed one's requests."""
    from ray import serve

    from serve.app import build

    begun, outcomes = time.monotonic(), Outcomes()
    # With pauses, so that a new engine gets enough of two cores to start in less than a minute.
    with load_for(endpoint.url, endpoint.key, outcomes, clients=4, misbehaving=True, pause_s=0.5) as stop:
        wait_until(lambda: time.monotonic() > begun + 45, 60)
        [killed] = _replicas()
        memory, files = _held(killed)
        os.kill(killed, 9)
        wait_until(lambda: _replicas() not in ([], [killed]), 60)
        wait_until(lambda: ready(endpoint.url), 300)
        cut = len(outcomes.failed)
        assert cut <= 4, outcomes.failed  # a client had one request there; the others waited for the next replica
        serve.run(build(endpoint.arguments | {"name": "second"}), name="default", route_prefix="/", blocking=False)
        wait_until(lambda: endpoint.client().models.list().data[0].id == "second", 300)
        wait_until(lambda: time.monotonic() > begun + 300, 300)
        stop()
    assert outcomes.answered > 100 and outcomes.failed[cut:] == []
    # The desk shows the last report of an old version for a while.
    wait_until(lambda: len(_replicas()) == 1 and _running(endpoint) == 0, 90)
    [last] = _replicas()
    assert _held(last)[0] < 1.2 * memory and _held(last)[1] < files + 20


def _held(replica: int) -> tuple[float, int]:
    """Memory and open files of a replica and what it started."""
    family = [psutil.Process(replica), *psutil.Process(replica).children(recursive=True)]
    return sum(p.memory_info().rss for p in family), sum(p.num_fds() for p in family)


def _replicas() -> list[int]:
    processes = psutil.Process().children(recursive=True)
    return [p.pid for p in processes if "ServeReplica:default:Model" in " ".join(_command(p))]


def _command(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []


def _running(endpoint: Endpoint) -> float:
    lines = httpx.get(f"{endpoint.url}/metrics", headers=_key(endpoint)).text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("vllm:num_requests_running{"))


def _lines(endpoint: Endpoint, ended: str) -> int:
    lines = (endpoint.folder / "access.log").read_text().splitlines()
    return sum(json.loads(line)["ended"] == ended for line in lines)


def _key(endpoint: Endpoint) -> dict[str, str]:
    return {"authorization": f"Bearer {endpoint.key}"}


def _post(endpoint: Endpoint, body: dict[str, Any], path: str = "/v1/chat/completions") -> httpx.Response:
    return httpx.post(endpoint.url + path, json=body, headers=_key(endpoint), timeout=60)
