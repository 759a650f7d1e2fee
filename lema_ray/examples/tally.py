"""Counts of the build's first pass, and what to say when there is nothing to build from.

Filled by `candidates`, checked by `build`, shown by `card`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from lema_ray.config import BuildConfig
from lema_ray.examples.error import BuildError
from lema_ray.examples.sieve import Sifted
from lema_ray.examples.units import Unit
from lema_ray.records import GradedQuestion, Question

LONGEST_SHOWN = 5


@dataclass(slots=True)
class Tally:
    """What was collected; rows kept by what they were made of and by whom; rows dropped by kind and reason."""

    collected: Counter[str] = field(default_factory=Counter)
    collect_drops: Counter[str] = field(default_factory=Counter)
    kept: Counter[tuple[str, str]] = field(default_factory=Counter)
    sources: Counter[str] = field(default_factory=Counter)
    dropped: Counter[tuple[str, str]] = field(default_factory=Counter)
    too_long: list[Sifted] = field(default_factory=list)

    def see(self, graded: GradedQuestion) -> None:
        """Count one collected question."""
        self.collected.update(questions=1, attempts=len(graded.attempts), corrections=len(graded.corrections))
        self.collected.update(right=len(graded.right), wrong=len(graded.wrong))
        self.collected.update(unsure=sum(g.grade.verdict == "unsure" for g in graded.attempts))
        self.collected.update(cut_off=sum(g.attempt.finish_reason == "length" for g in graded.attempts))
        self.collect_drops.update(f"{drop.stage}: {drop.reason}" for drop in graded.drops)

    def note(self, question: Question, unit: Unit, row: Sifted) -> None:
        """Count one row as kept or dropped."""
        if row.dropped is None:
            self.kept[unit.made, unit.by] += 1
            self.sources[question.source] += 1
            return
        self.dropped[unit.kind, row.dropped.reason] += 1
        if row.dropped.reason == "too_long":
            self.too_long = sorted([*self.too_long, row], key=lambda r: -r.tokens)[:LONGEST_SHOWN]

    def dropped_as(self, reason: str) -> int:
        """Rows dropped for a reason, of all kinds."""
        return sum(n for (_, why), n in self.dropped.items() if why == reason)


def check_tally(tally: Tally, config: BuildConfig, max_length: int | None) -> None:
    """Raises `BuildError` when rows are too long and may not be dropped, or an arm has no corrections to take."""
    if tally.collected["questions"] == 0:
        raise BuildError("collected/ holds no questions: run the collect stage first, or look at its drops")
    if tally.too_long and config.too_long == "refuse":
        raise BuildError(_too_long(tally, max_length))
    for name, arm in config.arms.items():
        if {"corrections", "revisions"} & set(arm.rows) and tally.collected["corrections"] == 0:
            raise BuildError(_nothing_corrected(name, tally.collected, tally.collect_drops))


def _too_long(tally: Tally, max_length: int | None) -> str:
    longest = "".join(
        f"\n  {row.example.id} ({row.example.kind}, question {row.example.question_id}): {row.tokens} tokens"
        for row in tally.too_long
    )
    return (
        f"{tally.dropped_as('too_long')} rows are longer than the {max_length} tokens that training takes. A row "
        f"that is cut loses its answer, so none is. The longest:{longest}\n"
        "Raise train.max_length, or set build.too_long: drop."
    )


def _nothing_corrected(arm: str, collected: Counter[str], drops: Counter[str]) -> str:
    seen = ", ".join(f"{collected[key]} {key.replace('_', ' ')}" for key in ("right", "wrong", "unsure", "cut_off"))
    attempts = f"{collected['attempts']} attempts at {collected['questions']} questions: {seen}"
    without = f"without corrections arm {arm!r} would teach nothing but CoT"
    if collected["wrong"] == 0:
        return (
            f"No attempt is wrong, so there was nothing to correct ({attempts}), and {without}. Take harder questions, "
            "more samples, a higher temperature or a weaker student, or build only arms with rows: [cot]."
        )
    reasons = ", ".join(f"{reason} {n}" for reason, n in drops.most_common()) or "none recorded"
    return (
        f"No correction was accepted ({attempts}), and {without}. Drops in collect: {reasons}. Read some of them in "
        "the `drops` column of collected/: the corrector may be too weak, or its replies unreadable or cut off."
    )
