"""Self-correction over HTTP: which policy a request asks for, and its answer as a chat completion or as a stream.

The policies themselves are in `lema_ray.self_correction`, shared with evaluation; here they get vLLM's stream as their
model, the server's bounds, and OpenAI's form around what they do.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, get_args

from pydantic import ValidationError

from lema_ray.config import Policy, PolicyName
from lema_ray.engines import EngineUnavailable, RequestRefused
from lema_ray.records import Completion, Message, Sampling, Trace
from lema_ray.self_correction.events import Event, content, event_json, story
from lema_ray.self_correction.models import Models
from lema_ray.self_correction.policies import correct_itself
from lema_ray.self_correction.problem import from_messages
from lema_ray.self_correction.streams import Streaming
from serve.asking import as_taught
from serve.backend import Answer, Backend
from serve.closing import closing
from serve.config import SelfCorrectionConfig
from serve.errors import ApiError, bad_request, unavailable
from serve.openai_form import message_text, role_of, usage_of
from serve.requests import ChatBody
from serve.service import Service
from serve.visit import Visit

NAMES: tuple[str, ...] = get_args(PolicyName)
DONE = "data: [DONE]\n\n"


@dataclass(frozen=True, slots=True)
class Choice:
    """What a chat request asks for. `policy` is None for a plain request, which goes to vLLM as it is."""

    body: ChatBody
    model: str
    question: str
    policy: Policy | None


def choose(body: ChatBody, service: Service) -> Choice:
    """The policy of a request: its field, else its model's suffix, else the server's default. Raises `ApiError` 400."""
    config = service.config.self_correction
    model, suffix = _split(body.model)
    question = _question(body)
    body = as_taught(body.model_copy(update={"model": model}), service.task)
    asked = _asked(body, suffix)
    if not asked and config.default.policy == "off":
        return Choice(body, model or service.backend.name, question, None)
    policy = _bounded(asked, config)
    if impossible := _impossible(body):
        if asked and policy.policy != "off":
            raise bad_request(f"{impossible} cannot be combined with self_correction {policy.policy!r}", impossible)
        # Nobody asked for a correction: what is asked for instead goes before the server's default.
        return Choice(body, model or service.backend.name, question, None)
    return Choice(body, model or service.backend.name, question, policy)


async def answer_with_policy(choice: Choice, service: Service, visit: Visit) -> Answer:
    """The answer under a policy. Raises `ApiError` for what fails before it begins."""
    events = _events(choice, service, visit)
    first = await anext(events)
    if choice.body.stream:
        return _stream(choice, first, events, visit)
    last = first
    async with closing(events):
        async for event in events:
            last = event
    assert isinstance(last, Trace)
    return _whole(choice, last, visit)


async def _events(choice: Choice, service: Service, visit: Visit) -> AsyncIterator[Event]:
    """The policy's events; a failure of the engine, or a first request that is refused, is an `ApiError`."""
    assert choice.policy is not None
    problem = from_messages(_messages(choice.body))
    reviser, adviser = service.advisers.get("reviser"), service.advisers.get("adviser")
    models = Models(_streaming(service.backend, choice.model), reviser, adviser)
    if service.verifier is not None:
        models = replace(models, verifier=service.verifier, threshold=service.verifier.threshold)
    corrected = correct_itself(choice.policy, problem, _sampling(choice.body, service), models)
    try:
        async with closing(corrected) as events:
            async for event in events:
                if isinstance(event, Trace):
                    visit.trace = asdict(event)
                    if event.stop_reason == "refused" and not event.text:
                        raise bad_request(event.refusal or "the request was refused", "messages")
                yield event
    except EngineUnavailable as error:
        raise unavailable(str(error), 5.0, "engine_unavailable") from error


def _streaming(backend: Backend, model: str) -> Streaming:
    """The served model as policies see one."""

    async def stream(messages: Sequence[Message], sampling: Sampling) -> AsyncIterator[str | Completion]:
        try:
            async with closing(backend.stream(model, messages, sampling)) as pieces:
                async for piece in pieces:
                    yield piece
        except ApiError as error:
            if error.status == 404:
                raise
            if error.status < 500:
                raise RequestRefused(error.code, error.message) from error
            raise EngineUnavailable(error.message) from error

    return stream


async def _stream(choice: Choice, first: Event, rest: AsyncIterator[Event], visit: Visit) -> AsyncIterator[str]:
    """Chunks: what happens beside `choices`, and the content that a plain client reads."""
    assert choice.policy is not None
    head = _head(choice, visit, "chat.completion.chunk")
    yield _chunk(head, {"role": "assistant", "content": ""})
    trace = None
    try:
        async with closing(rest):
            yield _event_chunk(head, choice.policy, first)
            async for event in rest:
                if isinstance(event, Trace):
                    trace = event
                    continue
                yield _event_chunk(head, choice.policy, event)
    except ApiError as error:
        yield error.event()
        yield DONE
        return
    if trace is not None:
        text = content(trace, choice.policy)
        if text:
            yield _chunk(head, {"content": text})
        yield _chunk(head, {}, trace.finish_reason, {"event": "final", **(visit.trace or {})})
        if choice.body.stream_options and choice.body.stream_options.include_usage:
            yield f"data: {json.dumps(head | {'choices': [], 'usage': usage_of(trace)})}\n\n"
    yield DONE


def _event_chunk(head: dict[str, Any], policy: Policy, event: Event) -> str:
    text = content(event, policy)
    return _chunk(head, {"content": text} if text else {}, None, event_json(event))


def _whole(choice: Choice, trace: Trace, visit: Visit) -> dict[str, Any]:
    assert choice.policy is not None
    text = story(trace) if choice.policy.returns == "full" else trace.text
    message = {"role": "assistant", "content": text, "refusal": None}
    said = {"index": 0, "message": message, "logprobs": None, "finish_reason": trace.finish_reason}
    head = _head(choice, visit, "chat.completion")
    return head | {"choices": [said], "usage": usage_of(trace), "self_correction": visit.trace}


def _head(choice: Choice, visit: Visit, kind: str) -> dict[str, Any]:
    return {"id": f"chatcmpl-{visit.id}", "object": kind, "created": int(time.time()), "model": choice.model}


def _chunk(
    head: dict[str, Any], delta: dict[str, Any], finish: str | None = None, event: dict[str, Any] | None = None
) -> str:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    extra = {} if event is None else {"self_correction": event}
    return f"data: {json.dumps(head | {'choices': [choice]} | extra)}\n\n"


def _split(model: str | None) -> tuple[str | None, str | None]:
    """A model's name and the policy behind its last colon, where that is one."""
    name, colon, suffix = (model or "").rpartition(":")
    return (name or None, suffix) if colon and suffix in NAMES else (model, None)


def _asked(body: ChatBody, suffix: str | None) -> dict[str, Any]:
    field = body.self_correction
    if isinstance(field, str):
        asked: dict[str, Any] = {"policy": field}
    else:
        asked = {} if field is None else field.model_dump(exclude_unset=True, by_alias=True)
    if suffix is not None and asked.get("policy", suffix) != suffix:
        raise bad_request(
            f"the model's suffix asks for {suffix} and the field for {asked['policy']}", "self_correction"
        )
    return asked if suffix is None else {**asked, "policy": suffix}


def _bounded(asked: dict[str, Any], config: SelfCorrectionConfig) -> Policy:
    given = config.default.model_dump(by_alias=True) | {key: value for key, value in asked.items() if value is not None}
    if given["policy"] not in NAMES:
        known = ", ".join(NAMES)
        raise bad_request(f"unknown policy {str(given['policy'])[:80]!r}; there are {known}", "self_correction.policy")
    if given["policy"] not in config.allowed:
        allowed = ", ".join(config.allowed)
        raise bad_request(f"policy {given['policy']!r} is not served; there are {allowed}", "self_correction.policy")
    for name, most in (("max_revisions", config.max_revisions), ("samples", config.max_samples)):
        if isinstance(given[name], int) and given[name] > most:
            raise bad_request(f"{name} is {given[name]}; this server gives at most {most}", f"self_correction.{name}")
    try:
        return Policy.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise bad_request(f"self_correction.{where}: {first['msg']}", f"self_correction.{where}") from None


def _impossible(body: ChatBody) -> str | None:
    """The first field that has no meaning for an answer made of several generations."""
    given = {"n": (body.n or 1) > 1, "tools": bool(body.tools), "logprobs": bool(body.logprobs)}
    given["response_format"] = body.response_format is not None and body.response_format.type != "text"
    return next((name for name, there in given.items() if there), None)


def _messages(body: ChatBody) -> list[Message]:
    return [Message(role_of(message.role), message_text(message.content)) for message in body.messages]


def _question(body: ChatBody) -> str:
    return next((message_text(message.content) for message in reversed(body.messages) if message.role == "user"), "")


def _sampling(body: ChatBody, service: Service) -> Sampling:
    """How every generation of the answer is sampled."""
    default, stop = Sampling(), body.stop
    room = service.config.caps.output_tokens or service.backend.context_length
    return Sampling(
        temperature=default.temperature if body.temperature is None else body.temperature,
        top_p=1.0 if body.top_p is None else body.top_p,
        max_tokens=body.output_tokens or room,
        stop=(stop,) if isinstance(stop, str) else tuple(stop or ()),
        seed=body.seed,
    )
