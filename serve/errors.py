"""Errors in OpenAI's shape. Raised anywhere below the HTTP application, which turns them into answers."""

from __future__ import annotations

import json
import math
from typing import Any

KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "invalid_request_error",
    405: "invalid_request_error",
    408: "timeout_error",
    413: "invalid_request_error",
    415: "invalid_request_error",
    429: "rate_limit_error",
}


OPEN = ("/healthz", "/readyz", "/openapi.json")
"""Paths that answer without a key."""


class ApiError(Exception):
    """One request gets this answer. `retry_after_s` becomes the header that clients obey."""

    def __init__(
        self, status: int, message: str, code: str, param: str | None = None, retry_after_s: float | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.param = param
        self.retry_after_s = retry_after_s

    def body(self) -> dict[str, Any]:
        """The JSON object that OpenAI's clients read."""
        kind = KINDS.get(self.status, "server_error")
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}

    def headers(self) -> dict[str, str]:
        """Headers that belong to the answer."""
        headers = {} if self.retry_after_s is None else {"retry-after": str(max(1, math.ceil(self.retry_after_s)))}
        return headers | ({"www-authenticate": "Bearer"} if self.status == 401 else {})

    def event(self) -> str:
        """The error within a stream that has begun."""
        return f"data: {json.dumps(self.body())}\n\n"


def bad_request(message: str, param: str | None = None, code: str = "invalid_value") -> ApiError:
    """The client can put it right."""
    return ApiError(400, message, code, param)


def unavailable(message: str, retry_after_s: float = 2.0, code: str = "unavailable") -> ApiError:
    """Nobody's fault but ours; to be tried again."""
    return ApiError(503, message, code, retry_after_s=retry_after_s)
