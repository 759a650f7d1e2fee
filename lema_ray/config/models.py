"""From corrections to examined models: `build`, `train`, `evaluate`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from lema_ray.config.engines import ActorsConfig, EngineSpec, ErrorAwareConfig, SamplingConfig
from lema_ray.config.policy import EvaluatedPolicy
from lema_ray.config.section import Section
from lema_ray.records import GradingMode

CotSource = Literal["solution", "right", "written"]
RowSource = Literal["cot", "corrections", "revisions"]
Objective = Literal["sft", "dpo"]


class ArmConfig(Section):
    """One training set to compare: which rows, and matched to which other arm by rows or by tokens."""

    rows: tuple[RowSource, ...] = ("cot", "corrections")
    match: str | None = Field(None, description="name of the arm whose size this one takes")
    by: Literal["rows", "tokens"] = "tokens"
    recipe: str | None = Field(None, description="whose corrections and revisions; default: the run's main recipe")
    parts: tuple[str, ...] | None = Field(
        None, description="parts of the corrections to learn, for ablations; default all"
    )
    corrections_share: float | None = Field(None, gt=0, lt=1, description="share of rows that are corrections")


class BuildConfig(Section):
    """Records to training sets."""

    cot: tuple[CotSource, ...] = ("solution", "right")
    cot_per_question: int = Field(2, ge=1)
    arms: dict[str, ArmConfig] = Field(default_factory=lambda: {"cot": ArmConfig(rows=("cot",)), "lema": ArmConfig()})
    dev_fraction: float = Field(0.05, ge=0, lt=1, description="of questions, held out to watch the loss")
    near_duplicates: float | None = Field(
        0.9, gt=0, le=1, description="Jaccard similarity that counts as a copy; null: off"
    )
    decontaminate_ngram: int | None = Field(13, gt=0, description="shared word n-gram with a test question; null: off")
    too_long: Literal["refuse", "drop"] = "refuse"
    exports: tuple[Literal["messages", "prompt_completion", "alpaca", "sharegpt", "openai"], ...] = ("messages",)


class LoraSettings(Section):
    """The paper's adapter: rank 64, alpha 16, dropout 0.05, all linear layers."""

    r: int = Field(64, gt=0)
    alpha: int = Field(16, gt=0)
    dropout: float = Field(0.05, ge=0, lt=1)
    target_modules: str | tuple[str, ...] = "all-linear"
    merge: bool = Field(True, description="into the base when done; false: only the adapter is left")


class DpoSettings(Section):
    """Direct preference optimisation with an NLL term on the chosen answer, which keeps it likely."""

    beta: float = Field(0.1, gt=0, description="how far the model may leave the one that it starts from")
    nll: float = Field(1.0, ge=0, description="weight of the chosen answer's mean NLL per learned token; 0: plain DPO")
    learning_rate: float | None = Field(None, gt=0, description="of arms of pairs; default: trainer.learning_rate")


class TrainConfig(Section):
    """Fine-tuning. `trainer` is handed to TRL's SFTConfig or DPOConfig under its own names."""

    base: str | None = Field(None, description="model to start from; default: the first vLLM student's")
    method: Literal["full", "lora", "qlora"] = Field("full", description="which weights are trained")
    objective: Objective | None = Field(
        None, description="what for; default: dpo for an arm of preference pairs, else sft"
    )
    lora: LoraSettings = LoraSettings()
    dpo: DpoSettings = DpoSettings()
    workers: int = Field(1, ge=1)
    min_workers: int | None = Field(
        None, ge=1, description="go on with as few when workers are lost, and with more again later; default: `workers`"
    )
    restarts: int = Field(1, ge=0, description="how often a training may lose workers and go on from its checkpoint")
    cpus_per_worker: float = Field(1.0, gt=0)
    gpus_per_worker: float = Field(0.0, ge=0)
    deepspeed: str | None = Field(
        "zero2",
        description="path of a DeepSpeed JSON, a shipped one (zero1, zero2, zero3, zero2_offload, ...), or auto",
    )
    max_length: int | None = Field(None, gt=0, description="tokens; default: the model's context length")
    packing: bool = Field(
        False, description="several rows in one sequence of up to max_length tokens (default: the longest row's)"
    )
    best: Literal["dev", "last"] = Field(
        "last", description="which weights are the model: lowest dev loss, or the last"
    )
    keep_checkpoints: int = Field(1, ge=1, description="the last so many of trainer.save_strategy's")
    seeds: tuple[int, ...] = Field(
        (), description="train every arm once with each, for means and intervals over seeds; default: the run's seed"
    )
    trainer: dict[str, Any] = Field(default_factory=dict)

    @property
    def fewest_workers(self) -> int:
        """The least number of workers that trains."""
        return self.min_workers or self.workers

    @property
    def leaves_adapter(self) -> bool:
        """Whether the model that is left is an adapter alone, to be loaded on top of the base."""
        return self.method != "full" and not self.lora.merge

    @model_validator(mode="after")
    def _seeds_differ(self) -> TrainConfig:
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds: each once, got {', '.join(map(str, self.seeds))}")
        return self

    @model_validator(mode="after")
    def _fewer_than_all(self) -> TrainConfig:
        if self.fewest_workers > self.workers:
            raise ValueError(f"min_workers: {self.min_workers} are more than the {self.workers} of workers")
        return self

    @model_validator(mode="after")
    def _pairs_are_not_packed(self) -> TrainConfig:
        if self.packing and self.objective == "dpo":
            raise ValueError("packing: pairs are padded in DPO; leave packing out, or objective: dpo")
        return self

    @model_validator(mode="after")
    def _quantised_on_a_gpu(self) -> TrainConfig:
        if self.method == "qlora" and not self.gpus_per_worker:
            raise ValueError("method: qlora needs a GPU for each worker: set gpus_per_worker to 1, or take lora")
        return self


class EvaluationSampling(SamplingConfig):
    """One way of asking in evaluation; pass@1 is the mean over `samples`. Its name is by default its policy's."""

    name: str = "greedy"
    temperature: float = Field(0.0, ge=0)
    samples: int = Field(1, ge=1)
    error_aware: ErrorAwareConfig | None = Field(None, description="warn of the mistakes that were made most before")
    policy: EvaluatedPolicy = Field(EvaluatedPolicy(), description="how the model corrects itself; a name or a section")

    @model_validator(mode="before")
    @classmethod
    def _named_by_policy(cls, given: Any) -> Any:
        if not isinstance(given, dict) or "name" in given or "policy" not in given:
            return given
        policy = given["policy"]
        named = policy.get("policy") if isinstance(policy, dict) else getattr(policy, "policy", policy)
        return given if named in (None, "off") else {**given, "name": named}


class EvaluateConfig(Section):
    """Held-out questions through the trained models."""

    sampling: tuple[EvaluationSampling, ...] = (EvaluationSampling(),)
    few_shot: int = Field(0, ge=0, le=8)
    also_graded_by: tuple[GradingMode, ...] = Field(
        (), description="published graders whose pass@1 is reported beside ours: gsm8k_strict, lema_math, ..."
    )
    engine: dict[str, Any] = Field(default_factory=dict, description="overrides of the student's vLLM settings")
    models: dict[str, EngineSpec] = Field(
        default_factory=dict, description="other models to examine: a folder, a hub id or an endpoint, by name"
    )
    reuse: tuple[str, ...] = Field(
        (), description="run folders whose answers by the same model content, question, prompt and seed are taken over"
    )
    trained: bool = Field(True, description="examine the base and the trained models; false: only `models`")
    actors: ActorsConfig = ActorsConfig()

    @model_validator(mode="after")
    def _names_differ(self) -> EvaluateConfig:
        names = [sampling.name for sampling in self.sampling]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"sampling: every way of asking needs a name of its own, twice: {', '.join(twice)}")
        return self
