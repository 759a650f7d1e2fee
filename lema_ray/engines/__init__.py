"""Engines turn messages into completions: vLLM in this process, an OpenAI-compatible endpoint, or a script.

`open_engine(spec)` is called by the actors of `on_ray`; recipes and `attempts` see only the `Generate` protocol.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from lema_ray.errors import LemaError
from lema_ray.records import Completion, Dropped, Message, Sampling

if TYPE_CHECKING:
    from lema_ray.config import EngineSpec, OpenAISpec
    from lema_ray.engines.leases import Leases
    from lema_ray.runs import RunFolder


class Generate(Protocol):
    """All that a recipe knows of a model. A final assistant message is continued, not answered."""

    async def __call__(self, messages: Sequence[Message], sampling: Sampling) -> Completion: ...


class Engine(Generate, Protocol):
    """A model that is opened once, asked many times at once, and closed."""

    model: str
    context_length: int | None
    can_continue: bool

    async def start(self) -> None:
        """Load or connect. Raises `EngineUnavailable` with what to do about it."""
        ...

    async def close(self) -> None:
        """Give back memory, processes and connections."""
        ...


class EngineUnavailable(LemaError):
    """The engine cannot serve anybody: it is down, refused the key, lacks the model, or died. Stops the run."""


class RequestRefused(Exception):
    """This one request cannot be served (too long, refused, malformed reply). The row becomes `Dropped`.

    `reason` is the code for the funnel. `completion` is what the endpoint charged for all the same, if it did.
    """

    def __init__(self, reason: str, detail: str = "", completion: Completion | None = None) -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail
        self.completion = completion

    def dropped(self, stage: str, row: str) -> Dropped:
        """The record of this refusal, with what it cost."""
        paid = self.completion
        if paid is None:
            return Dropped(stage, row, self.reason, self.detail, requests=1)
        return Dropped(stage, row, self.reason, self.detail, 1, paid.prompt_tokens, paid.completion_tokens, paid.cost)


LeasesOf = Callable[["OpenAISpec"], "Leases"]


def open_engine(spec: EngineSpec, leases: LeasesOf | None = None, run: RunFolder | None = None) -> Engine:
    """The engine that a config section describes, not yet started.

    `leases` gives the leases of an endpoint that others share; `run` is where batches that are submitted are noted.
    """
    if spec.type == "vllm":
        from lema_ray.engines.vllm import VLLMEngine

        return VLLMEngine(spec)
    if spec.type == "openai":
        return _open_endpoints(spec, leases, run)
    from lema_ray.engines.scripted import ScriptedEngine

    return ScriptedEngine(spec)


def _open_endpoints(spec: OpenAISpec, leases: LeasesOf | None, run: RunFolder | None) -> Engine:
    from lema_ray.engines.batch import BatchEngine
    from lema_ray.engines.openai import OpenAIEngine
    from lema_ray.engines.several import SeveralEngines

    if spec.batch is not None:
        return BatchEngine(spec, leases(spec) if leases else None, run)
    engines = [OpenAIEngine(one, leases(one) if leases else None) for one in spec.endpoints]
    return engines[0] if len(engines) == 1 else SeveralEngines(engines, spec.use == "fallback")
