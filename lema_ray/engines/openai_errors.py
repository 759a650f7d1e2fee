"""What an endpoint's failure means: for this request (`RequestRefused`) or for everybody (`EngineUnavailable`).

Called by the openai engine. What an endpoint says is shortened and the key taken out.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Literal

from lema_ray.engines import EngineUnavailable, RequestRefused

if TYPE_CHECKING:
    import openai

    from lema_ray.config import OpenAISpec

DETAIL_CHARACTERS = 300

# Servers word it differently; OpenAI and some others also send the code context_length_exceeded.
_TOO_LONG = re.compile(
    r"context.?length|maximum context|max_model_len|maximum model length|too many (input )?tokens"
    r"|(prompt|input|request)[^.]{0,60} too (long|large)|longer than the maximum"
    r"|exceeds? the[^.]{0,40}(context|token limit)",
    re.IGNORECASE,
)


def explain(text: str, key: str) -> str:
    """What an endpoint said, on one line, shortened, without the key."""
    return " ".join(text.replace(key, "***").split())[:DETAIL_CHARACTERS]


def check_failure(error: Exception, url: str, spec: OpenAISpec, key: str) -> EngineUnavailable:
    """Why an endpoint did not pass the check at the start: no request would fare better."""
    failure = request_failure(error, url, spec, key)
    if isinstance(failure, RequestRefused):
        return EngineUnavailable(f"{url} did not pass the check before sampling: {failure}")
    return failure


def request_failure(error: Exception, url: str, spec: OpenAISpec, key: str) -> EngineUnavailable | RequestRefused:
    """The exception that a failed request becomes."""
    import openai

    if isinstance(error, openai.APIStatusError):
        return _status_failure(error, url, spec, key)
    if _timed_out(error):
        return RequestRefused("timeout", f"{url} gave no reply in {spec.timeout_s:g} s, {spec.max_retries + 1} times")
    if isinstance(error, openai.APIConnectionError):
        cause = explain(str(error.__cause__ or error), key)
        return EngineUnavailable(f"{url} cannot be reached ({cause}): is the server up, is base_url right?")
    return RequestRefused("malformed_reply", explain(f"{type(error).__name__}: {error}", key))


def _timed_out(error: Exception) -> bool:
    import httpx2
    import openai

    if isinstance(error, openai.APITimeoutError):
        return not isinstance(error.__cause__, httpx2.ConnectTimeout)
    return isinstance(error, TimeoutError)


def is_lost(error: Exception) -> bool:
    """Whether there was no connection, or it broke."""
    import openai

    return isinstance(error, openai.APIConnectionError) and not _timed_out(error)


def sign_of(error: Exception) -> Literal["throttled", "overrun", "failed"] | None:
    """What a failure says of the endpoint, None if the same request would fail again."""
    import openai

    if isinstance(error, openai.APIStatusError):
        return _sign_of_status(error)
    if _timed_out(error):
        return "overrun"
    # A body that ends in the middle is a broken transfer, not an answer.
    return "failed" if is_lost(error) or isinstance(error, json.JSONDecodeError) else None


def _sign_of_status(error: openai.APIStatusError) -> Literal["throttled", "overrun", "failed"] | None:
    if error.code == "insufficient_quota" or error.response.headers.get("x-should-retry") == "false":
        return None
    if error.status_code == 429:
        return "throttled"
    if error.status_code in (503, 529):
        return "overrun"
    again = error.status_code in (408, 409) or error.status_code >= 500
    return "failed" if again or error.response.headers.get("x-should-retry") == "true" else None


def _status_failure(
    error: openai.APIStatusError, url: str, spec: OpenAISpec, key: str
) -> EngineUnavailable | RequestRefused:
    status, said = error.status_code, explain(error.message, key)
    if status in (401, 403):
        # Not what the endpoint said: it may repeat part of the key.
        return EngineUnavailable(f"{url} refused the key in {spec.api_key_env} (HTTP {status})")
    if status == 404:
        return EngineUnavailable(f"{url} does not know model {spec.model!r} or is no OpenAI endpoint: {said}")
    if error.code == "insufficient_quota":
        return EngineUnavailable(f"{url}: the account behind {spec.api_key_env} has no quota left: {said}")
    if status in (408, 409, 429) or status >= 500:
        return RequestRefused("endpoint_error", said)
    if error.code == "context_length_exceeded" or status == 413 or _TOO_LONG.search(error.message):
        return RequestRefused("too_long", said)
    if error.code == "content_filter":
        return RequestRefused("content_filter", said)
    return RequestRefused("bad_request", said)
