"""The settings of the recipes `critique` and `score`: `recipe.options` in a config."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from lema_ray.config import SamplingConfig, Section
from lema_ray.recipes.lemma_options import Reference
from lema_ray.recipes.options import InjectOptions

Model = Literal["corrector", "student"]


class CritiqueOptions(InjectOptions):
    """AutoMathCritique; the paper gives neither K nor the share that has to be right."""

    inject: int = Field(1, ge=0, description="mistakes to make on purpose per question; 0: none")
    resample: int = Field(0, ge=0, description="times to let the student go on anew from inside a right solution")
    resample_sampling: SamplingConfig = SamplingConfig(temperature=1.0)
    reference: tuple[Reference, ...] = Field(
        ("solution", "right", "answer"), description="what the critic goes by: the first of these that there is"
    )
    refiner: Model = "corrector"
    refine_sampling: SamplingConfig = SamplingConfig(temperature=0.7, max_tokens=1024)
    refinements: int = Field(10, ge=1, description="K: refinements by which a critique is judged")
    least_helped: float = Field(0.3, ge=0, le=1, description="share of them that has to be right")
    rights: float = Field(1.0, ge=0, description="right solutions for each critique among the critic's rows")
    parts: tuple[Literal["critique", "refinement", "rights"], ...] = ("critique", "refinement", "rights")


class ScoreOptions(Section):
    """SCORE, with the paper's values."""

    critic: Model = Field("corrector", description="who criticizes; student: the model itself, as in the paper")
    refiner: Model = "corrector"
    refine_sampling: SamplingConfig = SamplingConfig(temperature=0.0, max_tokens=1024)
    feedback: Literal["first", "all"] = Field("first", description="keep what is said of the first wrong step, or all")
    rights: float | Literal["own"] = Field(
        "own", description="right solutions for each correction among the rows; own: the question's own rate"
    )
    parts: tuple[Literal["correction", "rights"], ...] = ("correction", "rights")
