"""The whole config of a run."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

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
from lema_ray.config.variants import VariantsConfig
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


class Trained(NamedTuple):
    """What one model is trained on and with which seed."""

    arm: str
    seed: int


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
    variants: VariantsConfig | None = None
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
        if self.rounds.count > 1 and self.train.leaves_adapter:
            raise ValueError("rounds: the next round's student is a whole model: leave train.lora.merge at true")
        return self

    @model_validator(mode="after")
    def _models_have_names_of_their_own(self) -> RunConfig:
        if len(self.trained) < len(self.build.arms) * max(len(self.train.seeds), 1):
            raise ValueError("train.seeds: an arm is called like another arm's model of another seed; rename it")
        return self

    @property
    def trained(self) -> dict[str, Trained]:
        """Every model that is trained, by name: the first seed's is called as its arm, others `<arm>-seed<seed>`."""
        seeds = self.train.seeds or (self.seed,)
        arms = self.build.arms
        return {f"{arm}-seed{s}" if n else arm: Trained(arm, s) for n, s in enumerate(seeds) for arm in arms}

    @property
    def recipes(self) -> tuple[RecipeConfig, ...]:
        """Every method of the run, the main one first."""
        return (self.recipe, *self.more_recipes)

    @property
    def folder(self) -> str:
        """The run folder."""
        return f"{self.runs_dir.rstrip('/')}/{self.name}"
