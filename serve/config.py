"""What one served model is told: the arguments of `serve.app:build`, strict about their keys.

`lema serve` fills it from its options, `serve run` from `key=value` (dots reach into sections), `serve deploy` from
YAML.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

from pydantic import Field, ValidationError, field_validator, model_validator

from lema_ray.config import ConfigError, EngineSpec, Policy, PolicyName, VLLMSpec
from lema_ray.config.load import apply_override
from lema_ray.config.section import Section
from lema_ray.records import Task


class KeyLimits(Section):
    """What one key may ask for; None is no limit. A key's own entry in the keys file goes before these."""

    requests_per_minute: int | None = Field(None, gt=0)
    tokens_per_minute: int | None = Field(None, gt=0, description="prompt and completion together")
    concurrency: int | None = Field(None, gt=0, description="requests in flight")


class Caps(Section):
    """What one request may ask for."""

    body_bytes: int = Field(1 << 20, gt=0)
    body_seconds: float = Field(20.0, gt=0, description="for the request body to arrive")
    messages: int = Field(256, gt=0)
    prompt_tokens: int | None = Field(None, gt=0, description="default: the model's context")
    output_tokens: int | None = Field(None, gt=0, description="of one generation; default: the model's context")
    choices: int = Field(16, gt=0, description="n")
    seconds: float = Field(300.0, gt=0, description="for a whole answer")
    in_flight: int = Field(256, gt=0, description="requests in one replica; more are refused with 503")


class Autoscaling(Section):
    """Replicas between two bounds, by requests in flight per replica."""

    min_replicas: int = Field(1, ge=0)
    max_replicas: int = Field(1, ge=1)
    target_ongoing_requests: float = Field(64, gt=0)
    upscale_delay_s: float = Field(10, ge=0)
    downscale_delay_s: float = Field(300, ge=0)


class Feedback(Section):
    """Where users' verdicts are written; questions and answers are remembered only while this is set."""

    folder: str = Field(description="JSONL files that `import_attempts` of a next run can read; a shared path")
    remembered: int = Field(10_000, gt=0, description="latest answers a verdict may be about")


class SelfCorrectionConfig(Section):
    """What requests may ask for, and what they get without asking."""

    default: Policy = Policy()
    allowed: tuple[PolicyName, ...] = get_args(PolicyName)
    max_revisions: int = Field(3, ge=0)
    max_samples: int = Field(16, ge=2)
    reviser: EngineSpec | None = Field(None, description="another model for revisions; default: the served one")
    adviser: EngineSpec | None = Field(None, description="another model that is asked about solutions")
    verifier: str | None = Field(None, description="folder of a trained verifier for `verify` (`lema train-verifier`)")

    @model_validator(mode="after")
    def _default_is_allowed(self) -> SelfCorrectionConfig:
        if self.default.policy not in self.allowed:
            raise ValueError(f"default policy {self.default.policy!r} is not in allowed")
        return self


class ServeConfig(Section):
    """One served model."""

    model: str = Field(description="model directory, hub id, built-in name, or a run folder")
    arm: str | None = Field(None, description="of a run folder: which trained model; default: its only one")
    name: str | None = Field(None, description="the model's name in the API; default: the directory's")
    task: Task | Literal["auto", "none"] = Field(
        "auto", description="whose instruction is put under questions; auto: that of the run that trained the model"
    )
    adapters: dict[str, str] = Field(default_factory=dict, description="LoRA adapters beside their base, by name")
    engine: dict[str, Any] = Field(default_factory=dict, description="vLLM settings, as in a run's engines")
    replicas: int = Field(1, gt=0)
    autoscaling: Autoscaling | None = None
    cpus: float = Field(1.0, ge=0, description="of the cluster, per replica")
    gpus: float | None = Field(None, ge=0, description="default: tensor_parallel_size where there are GPUs, else 0")
    keys: str | None = Field(None, description="file with hashed API keys; without it nobody is asked for one")
    limits: KeyLimits = KeyLimits()
    caps: Caps = Caps()
    self_correction: SelfCorrectionConfig = SelfCorrectionConfig()
    feedback: Feedback | None = None
    access_log: str | None = Field(None, description="file for JSON lines; default: the replica's standard error")
    log_prompts: bool = False
    siblings: dict[str, str] = Field(default_factory=dict, description="other served models: name to route prefix")
    tracing: str | None = Field(None, description="OpenTelemetry endpoint for vLLM's spans")

    @field_validator("engine")
    @classmethod
    def _engine_is_vllm(cls, engine: dict[str, Any]) -> dict[str, Any]:
        if taken := sorted({"model", "lora", "in_process", "type"} & engine.keys()):
            raise ValueError(f"{', '.join(taken)} cannot be set here; use model and adapters")
        VLLMSpec(model="", **engine)
        return engine

    @property
    def spec(self) -> VLLMSpec:
        """The engine's settings as a run's config would hold them."""
        return VLLMSpec(model=self.model, **self.engine)


def parse_serve_config(arguments: Mapping[str, Any]) -> ServeConfig:
    """The config in an application's arguments; dotted keys reach into sections. Raises `ConfigError`."""
    raw: dict[str, Any] = {key: value for key, value in arguments.items() if "." not in key}
    for key, value in arguments.items():
        if "." in key:
            apply_override(raw, f"{key}={value}")
    try:
        return ServeConfig.model_validate(raw)
    except ValidationError as error:
        raise ConfigError("\n".join(f"serve: {_explain(problem)}" for problem in error.errors())) from None


def _explain(problem: Any) -> str:
    where = ".".join(str(part) for part in problem["loc"]) or "(top level)"
    if problem["type"] == "missing":
        return f"{where}: missing"
    if problem["type"] == "extra_forbidden":
        return f"{where}: unknown key"
    return f"{where}: {problem['msg'].removeprefix('Value error, ')} (got {problem['input']!r})"
