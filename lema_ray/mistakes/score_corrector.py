"""How well a corrector finds the first wrong step and names the type of the mistake: measured on labelled solutions.

`lema score-corrector` asks exactly what the `lemma` recipe and `lema analyze` ask. The measure of the steps is
ProcessBench's (arXiv 2412.06559): accuracy on wrong solutions, on right ones, and their harmonic mean F1.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from lema_ray.engines import Generate
from lema_ray.mistakes.analysis import Analyzer
from lema_ray.mistakes.labelled import Labelled
from lema_ray.mistakes.taxonomy import Taxonomy
from lema_ray.records import Dropped
from lema_ray.statistics import proportion_interval

AT_ONCE = 256
"""Rows that are asked about together; the engine's own limit is what counts."""
BINS = 10


@dataclass(frozen=True, slots=True)
class Judged:
    """A corrector's word on a labelled solution. `wrong_step` None: it calls every step right, or `failed` says why."""

    labelled: Labelled
    wrong_step: int | None = None
    error_type: str | None = None
    confidence: float | None = None
    failed: str | None = None

    @property
    def found(self) -> bool:
        """Whether it says of the steps what the label says."""
        return self.failed is None and self.wrong_step == self.labelled.wrong_step


async def judge_all(rows: Iterable[Labelled], corrector: Generate, analyzer: Analyzer) -> list[Judged]:
    """Ask about every row, many at once."""
    judged: list[Judged] = []
    for chunk in _chunks(rows):
        judged += await asyncio.gather(*(_judge(row, corrector, analyzer) for row in chunk))
    return judged


def _chunks(rows: Iterable[Labelled]) -> Iterator[list[Labelled]]:
    chunk: list[Labelled] = []
    for row in rows:
        chunk.append(row)
        if len(chunk) == AT_ONCE:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


async def _judge(row: Labelled, corrector: Generate, analyzer: Analyzer) -> Judged:
    made = await analyzer.analyze(row.question, row.id, row.steps, corrector)
    if isinstance(made, Dropped):
        return Judged(row, failed=None if made.reason == "called_right" else made.reason)
    return Judged(row, made.wrong_step, made.error_type, made.confidence)


def scores(judged: Sequence[Judged], taxonomy: Taxonomy) -> dict[str, Any]:
    """Every measure over some rows; a reply that could not be read counts as a miss."""
    wrong = [j for j in judged if j.labelled.wrong_step is not None]
    right = [j for j in judged if j.labelled.wrong_step is None]
    gaps = [_gap(j) for j in wrong]
    exact, alone = _share(sum(j.found for j in wrong), len(wrong)), _share(sum(j.found for j in right), len(right))
    return {
        "rows": len(judged),
        "wrong": exact,
        "wrong_within_1": _share(sum(gap is not None and abs(gap) <= 1 for gap in gaps), len(wrong)),
        "right": alone,
        "f1": _harmonic(exact, alone),
        "too_early": sum(gap is not None and gap < 0 for gap in gaps),
        "too_late": sum(gap is not None and gap > 0 for gap in gaps),
        "called_right": sum(gap is None and not j.failed for gap, j in zip(gaps, wrong, strict=True)),
        "failed": dict(Counter(j.failed for j in judged if j.failed)),
        "always_one_step": max(Counter(j.labelled.wrong_step for j in wrong).values(), default=0),
        "types": _types(wrong, taxonomy),
        "calibration": _calibration(judged),
    }


def _gap(judged: Judged) -> int | None:
    """Steps between what was named and what is labelled; None when nothing was named."""
    if judged.wrong_step is None or judged.labelled.wrong_step is None:
        return None
    return judged.wrong_step - judged.labelled.wrong_step


def _share(hits: int, rows: int) -> dict[str, float] | None:
    if not rows:
        return None
    low, high = proportion_interval(hits, rows)
    return {"hits": hits, "rows": rows, "share": hits / rows, "low": low, "high": high}


def _harmonic(one: dict[str, float] | None, other: dict[str, float] | None) -> float | None:
    if one is None or other is None:
        return None
    total = one["share"] + other["share"]
    return 2 * one["share"] * other["share"] / total if total else 0.0


def _types(wrong: Sequence[Judged], taxonomy: Taxonomy) -> dict[str, Any] | None:
    """Accuracy and macro-F1 over the types that are labelled; a type that was never named has an F1 of 0."""
    pairs = [(taxonomy.read(j.labelled.error_type), j.error_type) for j in wrong if j.labelled.error_type]
    if not pairs:
        return None
    each = {}
    for code in sorted({want for want, _ in pairs}):
        hits = sum(want == got == code for want, got in pairs)
        named, labelled = sum(got == code for _, got in pairs), sum(want == code for want, _ in pairs)
        each[code] = {"f1": 2 * hits / (named + labelled), "labelled": labelled, "named": named, "hits": hits}
    accuracy = _share(sum(want == got for want, got in pairs), len(pairs))
    return {"accuracy": accuracy, "macro_f1": sum(one["f1"] for one in each.values()) / len(each), "each": each}


def _calibration(judged: Sequence[Judged]) -> dict[str, Any] | None:
    """How far stated confidence in a step is from how often it is right: expected error over ten bins, Brier score."""
    sure = [(j.confidence, j.found) for j in judged if j.confidence is not None]
    if not sure:
        return None
    bins: dict[int, list[tuple[float, bool]]] = {}
    for confidence, hit in sure:
        bins.setdefault(min(int(confidence * BINS), BINS - 1), []).append((confidence, hit))
    gaps = (abs(sum(c for c, _ in b) - sum(hit for _, hit in b)) for b in bins.values())
    return {
        "rows": len(sure),
        "mean_confidence": sum(c for c, _ in sure) / len(sure),
        "accuracy": sum(hit for _, hit in sure) / len(sure),
        "expected_error": sum(gaps) / len(sure),
        "brier": sum((c - hit) ** 2 for c, hit in sure) / len(sure),
    }


def by_source(judged: Sequence[Judged], taxonomy: Taxonomy) -> dict[str, dict[str, Any]]:
    """The scores of every source of rows, and of all of them when there are several."""
    sources = sorted({j.labelled.question.source for j in judged})
    found = {s: scores([j for j in judged if j.labelled.question.source == s], taxonomy) for s in sources}
    return found | ({"all": scores(judged, taxonomy)} if len(sources) > 1 else {})
