"""A solution by a model, and the verdict on it. Part of `lema_ray.records`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lema_ray.records.chat import FinishReason
from lema_ray.records.traces import Trace

Verdict = Literal["right", "wrong", "unsure"]
Origin = Literal["sampled", "imported", "written", "injected", "edited", "branched", "resampled"]
GradingMode = Literal["default", "gsm8k_strict", "gsm8k_flexible", "lema_gsm8k", "lema_math", "qwen_math"]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One solution text by one model. Made by `attempts`, imports and some recipes; read by grading and recipes.

    `origin` is `sampled` for a student's own, `written` for a solution that a stronger model wrote as training data,
    `injected` for a mistake that it made on purpose, `edited` for the beginning of a right solution up to a step that
    was made wrong, `branched` for one up to another step that a student took there and that proved wrong, `resampled`
    for a wrong solution that it came to when it went on anew from inside a right one. `trace` is there where a policy
    of self-correction was at work; the text is then that of its final draft, and the tokens are all that were spent.
    """

    id: str
    text: str
    model: str
    origin: Origin = "sampled"
    finish_reason: FinishReason = "stop"
    seed: int | None = None
    temperature: float | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0
    trace: Trace | None = None

    @property
    def by_recipe(self) -> bool:
        """Whether a recipe made it: it is training material, and no student's answer."""
        return self.origin in ("injected", "edited", "branched", "resampled")


@dataclass(frozen=True, slots=True)
class Grade:
    """The verdict on one attempt. Made by `grading`; read by everyone.

    `answer` is the final answer that was extracted, None when there is none. `rules` names, in order, the extraction
    rule and the comparison that decided. `reason` says why in words where the rules alone do not.
    """

    verdict: Verdict
    answer: str | None
    rules: tuple[str, ...] = ()
    reason: str | None = None


UNGRADED = Grade("unsure", None, ("ungraded",))
"""The place-holder between sampling and grading."""


@dataclass(frozen=True, slots=True)
class GradedAttempt:
    """An attempt and its grade."""

    attempt: Attempt
    grade: Grade
