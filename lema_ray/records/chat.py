"""One request to a model and what came back. Part of `lema_ray.records`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Role = Literal["system", "user", "assistant"]
FinishReason = Literal["stop", "length", "imported"]


@dataclass(frozen=True, slots=True)
class Message:
    """One chat message. Made by recipes and `attempts`; read by engines and `masking`."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to generate one completion. Made by config and recipes; read by engines. `max_tokens` counts new tokens.

    `json_schema` is a schema as JSON text; engines that cannot enforce one ignore it, so replies are parsed tolerantly.
    """

    temperature: float = 0.7
    top_p: float = 1.0
    max_tokens: int = 512
    stop: tuple[str, ...] = ()
    seed: int | None = None
    json_schema: str | None = None


@dataclass(frozen=True, slots=True)
class Completion:
    """What an engine gave back for one request. Made by engines; read by `attempts` and recipes.

    `model` is the name the engine reports. `cost` is money in the currency of the configured prices.
    """

    text: str
    finish_reason: FinishReason
    model: str
    prompt_tokens: int
    completion_tokens: int
    cost: float = 0.0
