"""Engines and the actors that hold them: `students.*.engine`, `corrector.engine`, `evaluate.engine`."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from lema_ray.config.section import Section
from lema_ray.records import Sampling, content_id


class SamplingConfig(Section):
    """How a model generates. `max_tokens` counts new tokens."""

    temperature: float = Field(0.7, ge=0)
    top_p: float = Field(1.0, gt=0, le=1)
    max_tokens: int = Field(512, gt=0)
    stop: tuple[str, ...] = ()

    def with_seed(self, seed: int | None) -> Sampling:
        """The record that engines take."""
        return Sampling(self.temperature, self.top_p, self.max_tokens, self.stop, seed)

    def seeded(self, *parts: str) -> Sampling:
        """The record with the seed that these texts give: the same request has the same seed in every run."""
        return self.with_seed(int(content_id(*parts), 16) % 2**31)

    def for_try(self, number: int, *parts: str) -> Sampling:
        """The record for asking the same a `number`-th time (from 0)."""
        sampling = self.seeded(*parts, str(number))
        # Asking again at temperature 0 would give the same reply again.
        return sampling if number == 0 else replace(sampling, temperature=max(0.7, sampling.temperature))


class ErrorAwareConfig(Section):
    """Warnings in the solve prompt of the mistakes that are made most. A bare path is short for one with defaults."""

    distribution: str = Field(description="analyzed/<taxonomy>/collected.json of a run, or another of `lema analyze`")
    model: str | None = Field(None, description="whose mistakes; default: those of all models in it")
    types: int = Field(3, ge=1, description="warn of so many error types, the most frequent first")

    @model_validator(mode="before")
    @classmethod
    def _bare_path(cls, given: Any) -> Any:
        return {"distribution": given} if isinstance(given, str) else given


class VLLMSpec(Section):
    """A model served by vLLM inside our own actor, on CPU or GPU."""

    type: Literal["vllm"] = "vllm"
    model: str = Field(description="local directory, hub id, or a built-in name (lema_ray.models)")
    lora: str | None = Field(None, description="adapter directory, served on top of the model")
    dtype: str = "auto"
    max_model_len: int | None = Field(None, gt=0, description="default: the model's own context length")
    max_num_seqs: int = Field(128, gt=0, description="requests decoded together")
    tensor_parallel_size: int = Field(1, gt=0)
    gpu_memory_utilization: float = Field(0.9, gt=0, le=1)
    cpu_kv_cache_gb: float = Field(1.0, gt=0)
    in_process: bool | None = Field(
        None, description="engine in the actor's own process (starts ten times faster); default: on CPU"
    )
    engine_args: dict[str, Any] = Field(default_factory=dict, description="any other vLLM engine argument")


class PriceConfig(Section):
    """What tokens cost, in money per million; or what a server of one's own costs, in GPU hours."""

    input_per_million: float = Field(0.0, ge=0)
    output_per_million: float = Field(0.0, ge=0)
    gpu_hour: float | None = Field(None, ge=0, description="money per GPU and hour, instead of prices per token")
    gpus: int = Field(1, ge=1)
    tokens_per_second: float = Field(0.0, ge=0, description="new tokens that all its GPUs make together")

    @model_validator(mode="after")
    def _one_kind(self) -> PriceConfig:
        if self.gpu_hour is not None and (self.input_per_million or self.output_per_million):
            raise ValueError("give gpu_hour or prices per million tokens, not both")
        if self.gpu_hour is not None and not self.tokens_per_second:
            raise ValueError("gpu_hour needs tokens_per_second: how many new tokens the server makes")
        return self


class LimitsConfig(Section):
    """What an endpoint allows the whole cluster, over any minute. Default: what its headers say, else nothing."""

    requests_per_minute: float | None = Field(None, gt=0)
    input_tokens_per_minute: float | None = Field(None, gt=0)
    output_tokens_per_minute: float | None = Field(None, gt=0)
    tokens_per_minute: float | None = Field(None, gt=0, description="input and output together")
    concurrency: int | None = Field(None, gt=0, description="requests in flight; default: per actor x actors")


class BatchConfig(Section):
    """How calls become batches. A file is submitted once no call came for `gather_s`, or when it is full."""

    gather_s: float = Field(30.0, gt=0)
    poll_s: float = Field(60.0, gt=0)
    max_requests: int = Field(20_000, gt=0, le=50_000)
    rows: int = Field(2_048, gt=0, description="questions that wait for one batch together")


class EndpointConfig(Section):
    """Another server, key or model for the same work, with limits of its own."""

    base_url: str | None = Field(None, description="default: the first endpoint's, for another key")
    api_key_env: str = "OPENAI_API_KEY"
    model: str | None = Field(None, description="default: the first endpoint's")
    limits: LimitsConfig = LimitsConfig()
    prices: PriceConfig | None = None


class OpenAISpec(Section):
    """Any OpenAI-compatible endpoint. The key is read from the environment and never stored."""

    type: Literal["openai"] = "openai"
    model: str
    base_url: str | None = Field(None, description="default: OPENAI_BASE_URL, else api.openai.com")
    api_key_env: str = "OPENAI_API_KEY"
    concurrency: int = Field(64, gt=0, description="requests in flight per actor")
    limits: LimitsConfig = LimitsConfig()
    timeout_s: float = Field(120.0, gt=0, description="for a whole reply, to its last byte")
    max_retries: int = Field(5, ge=0)
    structured_output: bool = Field(False, description="ask for JSON by schema where a recipe can use it")
    can_continue: bool = Field(False, description="the server continues a final assistant message (vLLM, SGLang)")
    context_length: int | None = Field(None, gt=0)
    prices: PriceConfig | None = Field(None, description="default: the shipped list's (lema_ray/spending/prices.yaml)")
    batch: BatchConfig | None = Field(None, description="ask through the Batch API: half the price, up to a day")
    launch: str | None = Field(
        None, description="command that starts the server for the run's duration; {port} is filled in"
    )
    extra_body: dict[str, Any] = Field(default_factory=dict, description="sent with every request")
    others: tuple[EndpointConfig, ...] = Field((), description="more endpoints for this role")
    use: Literal["spread", "fallback"] = Field("spread", description="how others are used: all at once, or in order")

    @model_validator(mode="after")
    def _batches_have_one_endpoint(self) -> OpenAISpec:
        if self.batch is not None and self.others:
            raise ValueError("batch has one endpoint: leave out others")
        return self

    @property
    def endpoints(self) -> tuple[OpenAISpec, ...]:
        """Every endpoint as a spec of its own."""
        alone = self.model_copy(update={"others": ()})
        more = [alone.model_copy(update=self._changes(other)) for other in self.others]
        return (alone, *more)

    def _changes(self, other: EndpointConfig) -> dict[str, Any]:
        names = {"base_url": other.base_url or self.base_url, "model": other.model or self.model}
        own = {"api_key_env": other.api_key_env, "limits": other.limits, "prices": other.prices, "launch": None}
        return names | own


class ScriptedSpec(Section):
    """A first-class fake: completions come from a Python function of the request, for tests, plans and benchmarks."""

    type: Literal["scripted"] = "scripted"
    script: str = Field("lema_ray.engines.scripted:echo", description="module:function(messages, sampling) -> str")
    model: str = "scripted"
    latency_s: float = Field(0.0, ge=0)
    concurrency: int = Field(1024, gt=0)
    context_length: int | None = None


EngineSpec = Annotated[VLLMSpec | OpenAISpec | ScriptedSpec, Field(discriminator="type")]


class ActorsConfig(Section):
    """How many actors hold this engine, and what each takes of the cluster."""

    min: int = Field(1, ge=1)
    max: int = Field(1, ge=1)
    cpus: float = Field(1.0, ge=0)
    gpus: float = Field(0.0, ge=0)

    @model_validator(mode="after")
    def _ordered(self) -> ActorsConfig:
        if self.max < self.min:
            raise ValueError(f"max ({self.max}) is below min ({self.min})")
        return self
