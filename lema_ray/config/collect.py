"""From questions to corrections: `questions`, `students`, `writers`, `grading`, `corrector`, `recipe`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from lema_ray.config.engines import ActorsConfig, EngineSpec, ErrorAwareConfig, SamplingConfig
from lema_ray.config.sandbox import SandboxConfig
from lema_ray.config.section import Section
from lema_ray.records import Task


class SourceConfig(Section):
    """Where questions come from: a named source, files (path, glob, s3://, gs://), a hub id, or a generator."""

    source: str = Field(
        description="a named source (gsm8k, math, math500, svamp, asdiv, mawps, csqa, aqua, gsm_plus, mgsm, "
        "college_math, deepmind_math; variants such as asdiv@lema, mgsm@de), files, hub, reasoning_gym, word_problems, "
        "program_problems, mbpp, humaneval; to examine models with, follow_ups and error_correction (files too)"
    )
    path: str | None = Field(None, description="file, directory or glob; a local copy for a named source")
    hub_id: str | None = None
    hub_config: str | None = None
    split: str = "train"
    fields: dict[str, str] = Field(
        default_factory=dict,
        description="question, reference, solution, level, type, choices, id, attempt -> column in the file",
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
    reviewed: str | None = Field(None, description="decisions of `lema review`: references kept, fixed or dropped")
    conflicts: Literal["refuse", "drop"] = Field(
        "refuse", description="the same question again with another reference: refuse to start, or keep the first"
    )


class StudentConfig(Section):
    """One model whose attempts are collected."""

    engine: EngineSpec
    samples: int = Field(4, ge=1, description="attempts per question")
    sampling: SamplingConfig = SamplingConfig()
    few_shot: int = Field(0, ge=0, le=8, description="worked examples shown before the question")
    error_aware: ErrorAwareConfig | None = Field(None, description="warn of the mistakes that were made most before")
    actors: ActorsConfig = ActorsConfig()


class ImportConfig(Section):
    """Attempts that exist already, instead of sampling: a file with a question, a solution and perhaps more."""

    path: str
    fields: dict[str, str] = Field(
        default_factory=dict, description="question, solution, reference, model -> column in the file"
    )


class JudgeConfig(SamplingConfig):
    """How the corrector generates when it is asked about an unsure grade; `{}` takes these."""

    temperature: float = Field(0.0, ge=0)


class GradingConfig(Section):
    """How attempts are graded. `timeout_s` is per comparison, after which its process is killed."""

    timeout_s: float = Field(5.0, gt=0)
    processes: int = Field(1, ge=1)
    judge: JudgeConfig | None = Field(None, description="let the corrector judge unsure grades; null: off")
    actors: ActorsConfig = ActorsConfig(cpus=0.25)
    sandbox: SandboxConfig = Field(SandboxConfig(), description="where programs are run (task code)")


class CorrectorConfig(Section):
    """The model that finds, explains and repairs mistakes."""

    engine: EngineSpec
    actors: ActorsConfig = Field(
        ActorsConfig(cpus=0.25), description="an endpoint's actors only wait: little CPU, no GPU"
    )


class AnalysisConfig(Section):
    """How the first wrong step and the type of a mistake are found."""

    taxonomy: str = Field("lemma", description="a shipped taxonomy, or a YAML file of your own")
    sampling: SamplingConfig = SamplingConfig(temperature=0.0, max_tokens=512)
    show_solution: bool = Field(True, description="show the corrector the question's own solution, if it has one")


class RecipeConfig(Section):
    """The method, and its own settings."""

    name: str = "lema"
    sampling: SamplingConfig = Field(
        SamplingConfig(temperature=0.0, max_tokens=1024), description="how the corrector generates"
    )
    corrections_per_question: int = Field(
        2, ge=0, description="at most so many distinct mistakes of a question; 0: attempts and grades only, to audit"
    )
    doubtful_references: Literal["skip", "correct"] = Field(
        "skip", description="questions whose reference most attempts contradict, unless reviewed"
    )
    tries: int = Field(1, ge=1, description="corrector calls per mistake until one passes the checks")
    dedupe: bool = Field(True, description="the same wrong solution is corrected once")
    analysis: AnalysisConfig = AnalysisConfig()
    options: dict[str, Any] = Field(default_factory=dict)
