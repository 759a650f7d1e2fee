"""How good a verifier is: AUC with an interval, the threshold to act on, calibration. Called by `training.verifier`.

`wrong` are truths, `p` the probabilities of being wrong that the verifier gave, in the same order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lema_ray.statistics import CONFIDENCE, Interval

THRESHOLDS = tuple(round(0.5 + 0.01 * k, 2) for k in range(51))
"""Where SCORE (arXiv 2404.17140) looks for the threshold."""
BINS = 10
_RESAMPLES = 1000


def area(wrong: Sequence[bool], p: Sequence[float]) -> float:
    """The chance that a wrong solution gets a higher probability than a right one; half of it where they tie."""
    from scipy.stats import rankdata

    positives = sum(wrong)
    ranks = rankdata(p)
    above = sum(rank for rank, one in zip(ranks, wrong, strict=True) if one) - positives * (positives + 1) / 2
    return float(above / (positives * (len(wrong) - positives)))


def area_interval(wrong: Sequence[bool], p: Sequence[float], questions: Sequence[str], seed: int = 0) -> Interval:
    """95 % interval of the area, by bootstrap over questions: attempts at one question are not independent."""
    import numpy

    rng, names = numpy.random.default_rng(seed), sorted(set(questions))
    places: dict[str, list[int]] = {name: [] for name in names}
    for at, name in enumerate(questions):
        places[name].append(at)
    found = []
    for _ in range(_RESAMPLES):
        rows = [at for name in rng.choice(names, len(names)) for at in places[name]]
        some = [wrong[at] for at in rows]
        if 0 < sum(some) < len(some):
            found.append(area(some, [p[at] for at in rows]))
    low, high = numpy.quantile(found, ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2))
    return Interval(float(low), float(high))


def best_threshold(wrong: Sequence[bool], p: Sequence[float]) -> float:
    """The threshold with the most right verdicts; of equals the highest, which leaves the most answers alone.

    A verdict on a wrong solution is then worth as much as one on a right one: as if a revision mended every wrong one
    that is found, and spoilt every right one that is not left alone.
    """
    return max(THRESHOLDS, key=lambda t: (sum((q >= t) == one for q, one in zip(p, wrong, strict=True)), t))


@dataclass(frozen=True, slots=True)
class Bin:
    """Solutions whose probabilities lie together: how many, what was said on average, and what was true."""

    count: int
    said: float
    wrong: float


def calibration(wrong: Sequence[bool], p: Sequence[float]) -> tuple[list[Bin], float]:
    """Bins of equal width, and the expected calibration error: by how much what is said differs from what is true."""
    groups: list[list[int]] = [[] for _ in range(BINS)]
    for at, q in enumerate(p):
        groups[min(int(q * BINS), BINS - 1)].append(at)
    bins = [
        Bin(len(group), sum(p[at] for at in group) / len(group), sum(wrong[at] for at in group) / len(group))
        for group in groups
        if group
    ]
    return bins, sum(b.count * abs(b.said - b.wrong) for b in bins) / len(p)


def measured(wrong: Sequence[bool], p: Sequence[float], questions: Sequence[str], threshold: float) -> dict[str, Any]:
    """All of it, for `verifier.json`: how the verdicts at the threshold come out, and what always saying one would."""
    low, high = area_interval(wrong, p, questions)
    bins, error = calibration(wrong, p)
    pairs = [(q >= threshold, one) for q, one in zip(p, wrong, strict=True)]
    return {
        "attempts": len(pairs),
        "questions": len(set(questions)),
        "wrong": sum(wrong),
        "auc": round(area(wrong, p), 4),
        "auc_interval": [round(low, 4), round(high, 4)],
        "accuracy": round(sum(said == true for said, true in pairs) / len(pairs), 4),
        "always_one_verdict": round(max(sum(wrong), len(wrong) - sum(wrong)) / len(wrong), 4),
        "wrong_found": sum(said and true for said, true in pairs),
        "right_doubted": sum(said and not true for said, true in pairs),
        "calibration_error": round(error, 4),
        "calibration": [{"count": b.count, "said": round(b.said, 3), "wrong": round(b.wrong, 3)} for b in bins],
    }
