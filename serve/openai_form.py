"""Small pieces of OpenAI's form that backends and policies share."""

from __future__ import annotations

from collections.abc import Sequence

from lema_ray.records import Completion, Role, Trace
from serve.requests import TextPart


def usage_of(used: Completion | Trace) -> dict[str, int]:
    """`usage` of one completion, or of all that a trace spent."""
    total = used.prompt_tokens + used.completion_tokens
    return {"prompt_tokens": used.prompt_tokens, "completion_tokens": used.completion_tokens, "total_tokens": total}


def message_text(content: str | Sequence[TextPart] | None) -> str:
    """The text of a message's content."""
    if content is None or isinstance(content, str):
        return content or ""
    return "".join(part.text for part in content)


def role_of(role: str) -> Role:
    """The nearest role that our own prompts know."""
    roles: dict[str, Role] = {"system": "system", "developer": "system", "assistant": "assistant"}
    return roles.get(role, "user")
