"""The whole config of a run."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from lema_ray.config.collect import (
    CorrectorConfig,
    GradingConfig,
    ImportConfig,
    QuestionsConfig,
    RecipeConfig,
    StudentConfig,
)
from lema_ray.config.models import BuildConfig, EvaluateConfig, TrainConfig
from lema_ray.config.section import Section
from lema_ray.config.verifier import VerifierConfig


class RayConfig(Section):
    """Which cluster. `address: auto` joins a running one, else a local one is started."""

    address: str | None = None
    num_cpus: int | None = Field(
        None, gt=0, description="logical CPUs of a local cluster; default: what the plan needs"
    )
    logs: Literal["plain", "json"] = Field(
        "plain", description="json: driver and workers log JSON lines with run, stage and question"
    )


class BudgetConfig(Section):
    """What a run may spend on endpoints. It stops at the cap with everything kept, and goes on once it is raised."""

    money: float | None = Field(None, ge=0, description="in the currency of the prices")
    tokens: int | None = Field(None, ge=0, description="input and output together")


class RoundsConfig(Section):
    """Rounds of the whole flow; the student of each is the model of the one before. A plain number is the count."""

    count: int = Field(1, ge=1)
    arm: str | None = Field(None, description="whose model is the next round's student; default: the last arm")
    start: Literal["base", "last"] = Field(
        "base", description="training starts from the base in every round, or goes on from the last round's model"
    )

    @model_validator(mode="before")
    @classmethod
    def _plain_number(cls, given: Any) -> Any:
        return {"count": given} if isinstance(given, int) else given


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
    more_recipes: tuple[RecipeConfig, ...] = Field(
        (), description="further methods on the same attempts; arms take their corrections by `recipe: <name>`"
    )
    build: BuildConfig = BuildConfig()
    train: TrainConfig = TrainConfig()
    verifier: VerifierConfig = VerifierConfig()
    evaluate: EvaluateConfig = EvaluateConfig()
    rounds: RoundsConfig = RoundsConfig()
    budget: BudgetConfig = BudgetConfig()
    ray: RayConfig = RayConfig()

    @model_validator(mode="after")
    def _someone_attempts(self) -> RunConfig:
        if not self.students and self.import_attempts is None:
            raise ValueError("nobody attempts the questions: add a student, or import_attempts.path")
        return self

    @model_validator(mode="after")
    def _recipes_have_names_of_their_own(self) -> RunConfig:
        names = [recipe.name for recipe in self.recipes]
        if len(set(names)) < len(names):
            raise ValueError(f"more_recipes: each method once, got {', '.join(names)}")
        unknown = {arm.recipe for arm in self.build.arms.values() if arm.recipe} - set(names)
        if unknown:
            raise ValueError(f"build.arms: recipe {', '.join(sorted(unknown))} is not one of {', '.join(names)}")
        return self

    @model_validator(mode="after")
    def _rounds_follow_an_arm(self) -> RunConfig:
        if self.rounds.arm is not None and self.rounds.arm not in self.build.arms:
            raise ValueError(f"rounds.arm: {self.rounds.arm!r} is not one of {', '.join(self.build.arms)}")
        return self

    @property
    def recipes(self) -> tuple[RecipeConfig, ...]:
        """Every method of the run, the main one first."""
        return (self.recipe, *self.more_recipes)

    @property
    def folder(self) -> str:
        """The run folder."""
        return f"{self.runs_dir.rstrip('/')}/{self.name}"
