"""The one typed config: a YAML file, dotted overrides, unknown keys refused with the nearest right one.

`load_config` is called by the CLI and by `jobs/`; every stage is handed its section and nothing more.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from lema_ray.errors import LemaError
from lema_ray.records import Sampling, Task


class _Loader(yaml.SafeLoader):
    """YAML whose `1e-5` is a number, as everyone who writes a learning rate means it (YAML 1.1 wants 1.0e-5)."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), list("-+0123456789")
)


class ConfigError(LemaError):
    """The config cannot be used; the message says where and what to do."""


class Section(BaseModel):
    """A part of the config: frozen, and strict about its keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class SamplingConfig(Section):
    """How a model generates. `max_tokens` counts new tokens."""

    temperature: float = Field(0.7, ge=0)
    top_p: float = Field(1.0, gt=0, le=1)
    max_tokens: int = Field(512, gt=0)
    stop: tuple[str, ...] = ()

    def with_seed(self, seed: int | None) -> Sampling:
        """The record that engines take."""
        return Sampling(self.temperature, self.top_p, self.max_tokens, self.stop, seed)


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
    """What tokens cost, in money per million."""

    input_per_million: float = Field(0.0, ge=0)
    output_per_million: float = Field(0.0, ge=0)


class OpenAISpec(Section):
    """Any OpenAI-compatible endpoint. The key is read from the environment and never stored."""

    type: Literal["openai"] = "openai"
    model: str
    base_url: str | None = Field(None, description="default: OPENAI_BASE_URL, else api.openai.com")
    api_key_env: str = "OPENAI_API_KEY"
    concurrency: int = Field(64, gt=0, description="requests in flight per actor")
    timeout_s: float = Field(120.0, gt=0)
    max_retries: int = Field(5, ge=0)
    structured_output: bool = Field(False, description="ask for JSON by schema where a recipe can use it")
    can_continue: bool = Field(False, description="the server continues a final assistant message (vLLM, SGLang)")
    context_length: int | None = Field(None, gt=0)
    prices: PriceConfig = PriceConfig()
    launch: str | None = Field(
        None, description="command that starts the server for the run's duration; {port} is filled in"
    )
    extra_body: dict[str, Any] = Field(default_factory=dict, description="sent with every request")


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


class SourceConfig(Section):
    """Where questions come from: a named source, files (path, glob, s3://, gs://), a hub id, or a generator."""

    source: str = Field(
        description="gsm8k, math, math500, svamp, asdiv, mawps, csqa, files, hub, reasoning_gym, word_problems"
    )
    path: str | None = Field(None, description="file, directory or glob; a local copy for a named source")
    hub_id: str | None = None
    hub_config: str | None = None
    split: str = "train"
    fields: dict[str, str] = Field(
        default_factory=dict, description="question, reference, solution, level, choices, id -> column in the file"
    )
    answer: Literal["auto", "plain", "gsm8k", "boxed", "letter"] = Field(
        "auto", description="how the reference answer is pulled out of its column"
    )
    task: Task | None = Field(None, description="default: the named source's own, else arithmetic")
    limit: int | None = Field(None, gt=0, description="take only the first N")
    count: int = Field(1000, gt=0, description="how many a generator makes")
    seed: int = 0
    options: dict[str, Any] = Field(default_factory=dict, description="generator settings")


class QuestionsConfig(Section):
    """Questions to learn from and questions to be examined on. They may not overlap."""

    train: SourceConfig
    test: SourceConfig | None = None
    overlap: Literal["refuse", "drop", "allow"] = Field(
        "refuse", description="train questions that are in the test set"
    )


class StudentConfig(Section):
    """One model whose attempts are collected."""

    engine: EngineSpec
    samples: int = Field(4, ge=1, description="attempts per question")
    sampling: SamplingConfig = SamplingConfig()
    few_shot: int = Field(0, ge=0, le=8, description="worked examples shown before the question")
    actors: ActorsConfig = ActorsConfig()


class ImportConfig(Section):
    """Attempts that exist already, instead of sampling: a file with a question, a solution and perhaps more."""

    path: str
    fields: dict[str, str] = Field(
        default_factory=dict, description="question, solution, reference, model -> column in the file"
    )


class GradingConfig(Section):
    """How attempts are judged. `timeout_s` is per comparison, after which its process is killed."""

    timeout_s: float = Field(5.0, gt=0)
    processes: int = Field(1, ge=1)
    actors: ActorsConfig = ActorsConfig(cpus=0.25)


class CorrectorConfig(Section):
    """The model that finds, explains and repairs mistakes."""

    engine: EngineSpec
    actors: ActorsConfig = Field(
        ActorsConfig(cpus=0.25), description="an endpoint's actors only wait: little CPU, no GPU"
    )


class RecipeConfig(Section):
    """The method, and its own settings."""

    name: str = "lema"
    sampling: SamplingConfig = Field(
        SamplingConfig(temperature=0.0, max_tokens=1024), description="how the corrector generates"
    )
    corrections_per_question: int = Field(2, ge=1, description="at most so many distinct mistakes of a question")
    tries: int = Field(1, ge=1, description="corrector calls per mistake until one passes the checks")
    dedupe: bool = Field(True, description="the same wrong solution is corrected once")
    options: dict[str, Any] = Field(default_factory=dict)


CotSource = Literal["solution", "right", "written"]
RowSource = Literal["cot", "corrections", "revisions"]


class ArmConfig(Section):
    """One training set to compare: which rows, and matched to which other arm by rows or by tokens."""

    rows: tuple[RowSource, ...] = ("cot", "corrections")
    match: str | None = Field(None, description="name of the arm whose size this one takes")
    by: Literal["rows", "tokens"] = "tokens"
    parts: tuple[str, ...] | None = Field(
        None, description="fields of a correction to learn, for ablations; default all"
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


class TrainConfig(Section):
    """Fine-tuning. `trainer` is handed to TRL's SFTConfig under its own names."""

    base: str | None = Field(None, description="model to start from; default: the first vLLM student's")
    method: Literal["full", "lora"] = "full"
    lora: LoraSettings = LoraSettings()
    workers: int = Field(1, ge=1)
    cpus_per_worker: float = Field(1.0, gt=0)
    gpus_per_worker: float = Field(0.0, ge=0)
    deepspeed: str | None = Field("zero2", description="path of a DeepSpeed JSON, or a shipped one: zero2, zero3")
    max_length: int | None = Field(None, gt=0, description="tokens; default: the model's context length")
    trainer: dict[str, Any] = Field(default_factory=dict)


class EvaluationSampling(SamplingConfig):
    """One way of asking in evaluation; pass@1 is the mean over `samples`."""

    name: str = "greedy"
    temperature: float = Field(0.0, ge=0)
    samples: int = Field(1, ge=1)


class EvaluateConfig(Section):
    """Held-out questions through the trained models."""

    sampling: tuple[EvaluationSampling, ...] = (EvaluationSampling(),)
    few_shot: int = Field(0, ge=0, le=8)
    engine: dict[str, Any] = Field(default_factory=dict, description="overrides of the student's vLLM settings")
    actors: ActorsConfig = ActorsConfig()


class RayConfig(Section):
    """Which cluster. `address: auto` joins a running one, else a local one is started."""

    address: str | None = None
    num_cpus: int | None = Field(
        None, gt=0, description="logical CPUs of a local cluster; default: what the plan needs"
    )


class RunConfig(Section):
    """A whole run."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    runs_dir: str = Field("runs", description="local folder, s3:// or gs://")
    seed: int = 0
    questions: QuestionsConfig
    students: tuple[StudentConfig, ...] = ()
    writers: tuple[StudentConfig, ...] = Field((), description="models whose right solutions become CoT data")
    import_attempts: ImportConfig | None = None
    grading: GradingConfig = GradingConfig()
    corrector: CorrectorConfig
    recipe: RecipeConfig = RecipeConfig()
    build: BuildConfig = BuildConfig()
    train: TrainConfig = TrainConfig()
    evaluate: EvaluateConfig = EvaluateConfig()
    ray: RayConfig = RayConfig()

    @model_validator(mode="after")
    def _someone_attempts(self) -> RunConfig:
        if not self.students and self.import_attempts is None:
            raise ValueError("nobody attempts the questions: add a student, or import_attempts.path")
        return self

    @property
    def folder(self) -> str:
        """The run folder."""
        return f"{self.runs_dir.rstrip('/')}/{self.name}"


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> RunConfig:
    """The config of a YAML file with `a.b.0.c=value` overrides applied. Raises `ConfigError`."""
    try:
        raw = yaml.load(Path(path).read_text(), _Loader)
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {error}") from None
    if not isinstance(raw, dict):
        raise ConfigError(f"{path}: expected keys and values at the top level, found {type(raw).__name__}")
    for override in overrides:
        _apply_override(raw, override)
    return parse_config(raw, str(path))


def parse_config(raw: dict[str, Any], where: str = "config") -> RunConfig:
    """The config of plain data. Raises `ConfigError` that lists every problem by its dotted key."""
    try:
        return RunConfig.model_validate(raw)
    except ValidationError as error:
        raise ConfigError("\n".join(f"{where}: {_explain(e)}" for e in error.errors())) from None


def _apply_override(raw: dict[str, Any], override: str) -> None:
    key, equals, value = override.partition("=")
    if not equals or not key:
        raise ConfigError(f"override {override!r}: expected dotted.key=value")
    *parents, last = key.split(".")
    node: Any = raw
    for part in parents:
        node = _step_into(node, part, override)
    if isinstance(node, list):
        node[_index(node, last, override)] = yaml.load(value, _Loader)
    else:
        node[last] = yaml.load(value, _Loader)


def _step_into(node: Any, part: str, override: str) -> Any:
    if isinstance(node, list):
        return node[_index(node, part, override)]
    child = node.setdefault(part, {})
    if child is None:
        child = node[part] = {}
    if not isinstance(child, dict | list):
        raise ConfigError(f"override {override!r}: {part!r} holds a value, not keys")
    return child


def _index(node: list[Any], part: str, override: str) -> int:
    if part.isdigit() and int(part) < len(node):
        return int(part)
    raise ConfigError(f"override {override!r}: {part!r} is not one of the positions 0 to {len(node) - 1}")


def _explain(error: Any) -> str:
    location, message = error["loc"], error["msg"].removeprefix("Value error, ")
    dotted = ".".join(str(part) for part in location) or "(top level)"
    if error["type"] != "extra_forbidden":
        return f"{dotted}: {message} (got {error['input']!r})" if error["type"] != "missing" else f"{dotted}: missing"
    known = list(_section_at(location[:-1]).model_fields)
    near = difflib.get_close_matches(str(location[-1]), known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(known)}"
    return f"{dotted}: unknown key; {hint}"


def _section_at(location: Sequence[str | int]) -> type[BaseModel]:
    """The section that a pydantic error location lies in; union tags in it choose the member."""
    section: type[BaseModel] = RunConfig
    candidates: list[type[BaseModel]] = []
    for part in location:
        tagged = [c for c in candidates if "type" in c.model_fields and c.model_fields["type"].default == part]
        if tagged:
            section, candidates = tagged[0], []
        elif part in section.model_fields:
            candidates = _sections_in(section.model_fields[str(part)].annotation)
            section = candidates[0] if candidates else section
    return section


def _sections_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [section for arg in get_args(annotation) for section in _sections_in(arg)]
