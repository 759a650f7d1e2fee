"""Requests of strangers: JSON read with care, the fields that are served, and what one request may ask for.

`ChatBody` and `CompletionBody` are the OpenAI fields plus those of vLLM that do no harm; all others are ignored, as
clients expect. They are the OpenAPI document too.
"""

from __future__ import annotations

import json
import math
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from serve.config import Caps
from serve.errors import bad_request

B = TypeVar("B", bound=BaseModel)

_INT64 = 2**63
DEEPEST = 64
"""Levels of objects and arrays in a request; schemas and tools need some."""
TokenId = Annotated[int, Field(ge=0, lt=2**31)]
Stop = Annotated[str, Field(min_length=1, max_length=256)]


class Strict(BaseModel):
    """Types are not guessed: "5" is no number."""

    model_config = ConfigDict(strict=True, extra="ignore")


class TextPart(Strict):
    """A piece of a message. Text only: nothing is fetched for a client."""

    type: Literal["text"]
    text: str


class ChatMessage(Strict):
    """One message of a chat."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[TextPart] | None = None
    name: str | None = None
    tool_calls: list[dict[str, Any]] | None = None
    tool_call_id: str | None = None


class StreamOptions(Strict):
    """Extras of a stream."""

    include_usage: bool | None = None
    continuous_usage_stats: bool | None = None


class JsonSchema(Strict):
    """A schema that the answer must fit."""

    model_config = ConfigDict(strict=True, extra="ignore", populate_by_name=True, serialize_by_alias=True)

    name: str
    json_schema: dict[str, Any] | None = Field(None, alias="schema")
    strict: bool | None = None
    description: str | None = None


class ResponseFormat(Strict):
    """The form of the answer."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None


class SelfCorrection(Strict):
    """How the answer is to correct itself; docs/serving.md has the policies."""

    model_config = ConfigDict(strict=True, extra="forbid")

    policy: str | None = None
    max_revisions: int | None = Field(None, ge=0, le=8)
    max_tokens: int | None = Field(None, ge=1)
    timeout_s: float | None = Field(None, gt=0)
    threshold: float | None = Field(None, ge=0, le=1)
    samples: int | None = Field(None, ge=2, le=64)
    gate: Literal["judged", "always"] | None = None
    return_: Literal["final", "full"] | None = Field(None, alias="return")


class _Sampled(Strict):
    """What both endpoints share."""

    model: str | None = Field(None, max_length=512)
    frequency_penalty: float | None = Field(None, ge=-2, le=2)
    presence_penalty: float | None = Field(None, ge=-2, le=2)
    repetition_penalty: float | None = Field(None, gt=0, le=10)
    logit_bias: dict[str, Annotated[float, Field(ge=-100, le=100)]] | None = Field(None, max_length=1024)
    max_tokens: int | None = Field(None, ge=1, lt=2**31)
    n: int | None = Field(None, ge=1)
    seed: int | None = Field(None, ge=-_INT64, lt=_INT64)
    stop: Stop | Annotated[list[Stop], Field(max_length=16)] | None = None
    stop_token_ids: list[TokenId] | None = Field(None, max_length=64)
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    top_k: int | None = Field(None, ge=-1, lt=2**31)
    min_p: float | None = Field(None, ge=0, le=1)
    min_tokens: int | None = Field(None, ge=0, lt=2**31)
    ignore_eos: bool | None = None
    skip_special_tokens: bool | None = None
    include_stop_str_in_output: bool | None = None
    response_format: ResponseFormat | None = None
    return_tokens_as_token_ids: bool | None = None
    user: str | None = None


class ChatBody(_Sampled):
    """`POST /v1/chat/completions`."""

    messages: list[ChatMessage] = Field(min_length=1)
    max_completion_tokens: int | None = Field(None, ge=1, lt=2**31)
    logprobs: bool | None = None
    top_logprobs: int | None = Field(None, ge=0, le=20)
    tools: list[dict[str, Any]] | None = Field(None, max_length=128)
    tool_choice: Literal["none", "auto", "required"] | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    add_generation_prompt: bool | None = None
    continue_final_message: bool | None = None
    self_correction: str | SelfCorrection | None = None

    @property
    def output_tokens(self) -> int | None:
        """The most tokens asked for."""
        return self.max_tokens if self.max_completion_tokens is None else self.max_completion_tokens


class CompletionBody(_Sampled):
    """`POST /v1/completions`."""

    prompt: (
        str
        | Annotated[list[str], Field(min_length=1, max_length=64)]
        | Annotated[list[TokenId], Field(min_length=1)]
        | Annotated[list[Annotated[list[TokenId], Field(min_length=1)]], Field(min_length=1, max_length=64)]
    )
    echo: bool | None = None
    logprobs: int | None = Field(None, ge=0, le=20)
    add_special_tokens: bool | None = None

    @property
    def output_tokens(self) -> int | None:
        """The most tokens asked for."""
        return self.max_tokens


class FeedbackBody(Strict):
    """`POST /v1/feedback`: a user's verdict on an answer of this server, by the answer's id."""

    request_id: str = Field(min_length=1, max_length=128)
    verdict: Literal["right", "wrong"]
    comment: str | None = Field(None, max_length=10_000)
    reference: str | None = Field(None, max_length=10_000, description="the right answer, where the user knows it")


def read_json(body: bytes) -> dict[str, Any]:
    """The object in a request's body. Raises `ApiError` 400 for anything else, however it is made."""
    try:
        data = json.loads(body.decode("utf-8"), parse_constant=_no_constant, parse_float=_number)
        if b"\\u" in body:
            # A lone half of a surrogate pair is valid JSON and no text.
            json.dumps(data, ensure_ascii=False).encode("utf-8")
    except UnicodeError:
        raise bad_request("the body is not valid Unicode text in UTF-8", code="invalid_json") from None
    except RecursionError:
        raise bad_request("the body is nested too deeply", code="invalid_json") from None
    except ValueError as error:
        raise bad_request(f"the body is not valid JSON: {error}"[:300], code="invalid_json") from None
    if not isinstance(data, dict):
        raise bad_request("the body has to be a JSON object", code="invalid_json")
    if body.count(b"[") + body.count(b"{") > DEEPEST and _is_deep(data):
        raise bad_request(f"the body is nested more than {DEEPEST} levels deep", code="invalid_json")
    return data


def parse_body(kind: type[B], data: dict[str, Any]) -> B:
    """The request's fields. Raises `ApiError` 400 that names the first wrong one."""
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"] if not str(part).startswith(("function", "list[", "str")))
        code = "missing_required_parameter" if first["type"] == "missing" else "invalid_value"
        raise bad_request(f"{where or 'body'}: {first['msg']}"[:500], where or None, code) from None
    except RecursionError:
        raise bad_request("the body is nested too deeply", code="invalid_json") from None


def check_caps(body: ChatBody | CompletionBody, caps: Caps) -> None:
    """Raise `ApiError` 400 where a request asks for more than this server gives."""
    if (body.n or 1) > caps.choices:
        raise bad_request(f"n is {body.n}; this server gives at most {caps.choices} choices", "n")
    if caps.output_tokens is not None and (body.output_tokens or 0) > caps.output_tokens:
        limit = f"this server gives at most {caps.output_tokens} tokens"
        raise bad_request(f"max_tokens is {body.output_tokens}; {limit}", "max_tokens")
    if isinstance(body, ChatBody) and len(body.messages) > caps.messages:
        found = f"{len(body.messages)} messages; this server takes at most {caps.messages}"
        raise bad_request(found, "messages", "too_many_messages")
    if body.stream_options is not None and not body.stream:
        raise bad_request("stream_options is only allowed when stream is true", "stream_options")


def estimated_tokens(body: ChatBody | CompletionBody, size: int, room: int) -> int:
    """What a request may spend, before anybody has counted: bytes by three, and all the tokens it asks for."""
    return min(size // 3, room) + (body.n or 1) * min(body.output_tokens or 256, room)


def _is_deep(data: Any) -> bool:
    """Whether anything lies deeper than `DEEPEST`: what comes after would recurse into it."""
    level = [data]
    for _ in range(DEEPEST):
        containers = (one for one in level if isinstance(one, dict | list))
        level = [item for one in containers for item in (one.values() if isinstance(one, dict) else one)]
        if not level:
            return False
    return True


def _number(text: str) -> float | int:
    """A JSON number: 1.0 is the integer 1, as JSON Schema has it, and 1e999 is none."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:40]} is out of range")
    return int(number) if number.is_integer() and abs(number) < 2**53 else number


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
