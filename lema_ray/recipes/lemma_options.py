"""The settings of the `lemma` recipe: `recipe.options` in a config, with the paper's values where it gives them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from lema_ray.recipes.options import InjectOptions

Strategy = Literal["fix", "fresh"]
Reference = Literal["right", "solution", "answer", "none"]
Part = Literal["fix", "fresh", "sampled", "injected", "several", "truncation", "smoothing", "learn_wrong_step"]
PARTS: tuple[Part, ...] = (
    "fix", "fresh", "sampled", "injected", "several", "truncation", "smoothing", "learn_wrong_step",
)  # fmt: skip


class LemmaOptions(InjectOptions):
    """What is asked for, and of that which parts go into training rows (`parts`, which arms can set for ablations)."""

    strategies: tuple[Strategy, ...] = ("fix", "fresh")
    fix_reference: tuple[Reference, ...] = Field(
        ("solution", "right", "answer"), description="what the corrector goes by: the first of these that there is"
    )
    fresh_reference: tuple[Reference, ...] = Field(
        ("right", "solution", "answer"), description="right: another attempt at the question that is right"
    )
    smoother: Literal["none", "corrector", "student"] = "corrector"
    inject_unfailed: bool = Field(False, description="inject into questions that the student never fails, too")
    k_max: int | None = Field(
        None, gt=0, description="trajectories per question: failure rate x k_max; default: the fixed numbers above"
    )
    student_share: float = Field(0.5, ge=0, le=1, description="with k_max: share of them that are the student's own")
    several: float = Field(
        0.1, ge=0, le=1, description="share of rows that first fail on another mistake, then restart"
    )
    parts: tuple[Part, ...] = PARTS
