"""What became of the questions: counts from one pass over `collected/`, for the report.

`report` streams every `GradedQuestion` of a run into one `Funnel`. It holds counters only, so a run of any size fits.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

from lema_ray.records import Analysis, Correction, Dropped, GradedAttempt, GradedQuestion, Judgement
from lema_ray.steps import split_steps

ROLES = {"written": "writer", "injected": "corrector", "edited": "editor"}
STAGE_ROLES = {
    "attempts": "student",
    "branches": "student",
    "rollouts": "student",
    "resampling": "student",
    "tests": "student",
    "programs": "student",
    "agreement": "student",
    "edits": "editor",
}
"""Who made what was dropped; the corrector, unless it says otherwise here."""
Fate = Literal["right", "wrong", "unsure", "cut off"]
FATES: tuple[Fate, ...] = ("right", "wrong", "unsure", "cut off")


def fate(one: GradedAttempt) -> Fate:
    """What the flow makes of an attempt; a cut-off answer is no mistake, because it never finished."""
    if one.grade.verdict == "right":
        return "right"
    return "cut off" if one.attempt.finish_reason == "length" else one.grade.verdict


@dataclass(slots=True)
class Spend:
    """What one model was asked for and cost. `cost` is money in the currency of the configured prices."""

    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0

    def add(self, requests: int, prompt_tokens: int, completion_tokens: int, cost: float) -> None:
        """Add one or more requests."""
        self.requests += requests
        self.prompt_tokens += prompt_tokens
        self.completion_tokens += completion_tokens
        self.cost += cost


@dataclass(slots=True)
class Funnel:
    """Counters over all questions of a run."""

    questions: int = 0
    unattempted: int = 0
    written: int = 0
    made_wrong: int = 0
    fates: Counter[str] = field(default_factory=Counter)
    sent: int = 0
    repaired: int = 0
    corrections: Counter[str] = field(default_factory=Counter)
    drops: Counter[tuple[str, str]] = field(default_factory=Counter)
    error_types: Counter[str] = field(default_factory=Counter)
    wrong_steps: Counter[int] = field(default_factory=Counter)
    steps_reached: Counter[int] = field(default_factory=Counter)
    spend: dict[tuple[str, str], Spend] = field(default_factory=dict)

    @property
    def attempts(self) -> int:
        """Students' attempts; solutions that a writer made are counted apart."""
        return self.fates.total()

    @property
    def cost(self) -> float:
        """Money spent on everything that was collected."""
        return sum(one.cost for one in self.spend.values())

    @property
    def tokens(self) -> int:
        """Tokens read and written while collecting."""
        return sum(one.prompt_tokens + one.completion_tokens for one in self.spend.values())

    def add(self, graded: GradedQuestion) -> None:
        """Count one question and everything that happened to it."""
        self.questions += 1
        self.unattempted += not graded.attempts
        for one in graded.attempts:
            self._add_attempt(one)
        replies: list[Judgement | Analysis] = [*graded.judgements, *graded.analyses]
        for found in replies:
            tokens = (found.prompt_tokens, found.completion_tokens, found.cost)
            role = found.by if isinstance(found, Judgement) else "corrector"
            self._spend(role, found.model).add(found.requests, *tokens)
        for correction in graded.corrections:
            self._add_correction(graded, correction)
        for drop in graded.drops:
            self._add_drop(drop)
        mistakes = {attempt.id for attempt in graded.wrong}
        repaired = {correction.attempt_id for correction in graded.corrections}
        self.repaired += len(repaired & mistakes)
        self.sent += len(mistakes & (repaired | {drop.id for drop in graded.drops if drop.stage != "attempts"}))

    def _spend(self, role: str, model: str) -> Spend:
        return self.spend.setdefault((role, model), Spend())

    def _add_attempt(self, one: GradedAttempt) -> None:
        attempt = one.attempt
        if attempt.origin == "written":
            self.written += 1
        elif attempt.by_recipe:
            self.made_wrong += 1
        else:
            self.fates[fate(one)] += 1
        role, requests = ROLES.get(attempt.origin, "student"), attempt.origin != "imported"
        self._spend(role, attempt.model).add(requests, attempt.prompt_tokens, attempt.completion_tokens, attempt.cost)

    def _add_correction(self, graded: GradedQuestion, correction: Correction) -> None:
        way = f" {correction.strategy}" if correction.strategy else ""
        self.corrections[f"{correction.recipe}{way}"] += 1
        if correction.error_type:
            self.error_types[correction.error_type] += 1
        self._spend("corrector", correction.model).add(
            correction.requests, correction.prompt_tokens, correction.completion_tokens, correction.cost
        )
        attempt = next((g.attempt for g in graded.attempts if g.attempt.id == correction.attempt_id), None)
        if attempt is not None and correction.wrong_step is not None:
            self.wrong_steps[correction.wrong_step + 1] += 1
            self.steps_reached.update(range(1, len(split_steps(attempt.text)) + 1))

    def _add_drop(self, drop: Dropped) -> None:
        self.drops[drop.stage, drop.reason] += 1
        if drop.requests or drop.prompt_tokens or drop.cost:
            role = STAGE_ROLES.get(drop.stage, "corrector")
            self._spend(role, "(dropped replies)").add(
                drop.requests, drop.prompt_tokens, drop.completion_tokens, drop.cost
            )
