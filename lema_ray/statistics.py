"""Intervals and paired tests for scores: what can be said from so many questions, and no more.

Called by `evaluation`. The unit that is resampled is the question, never the attempt: several attempts at one question
are not independent of each other. Rates of k samples have k + 1 values at most, so questions are counted by value and
resampled by their counts: exact, and as small for a million questions as for a hundred. scipy and numpy are imported
late, because they take a second.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

CONFIDENCE = 0.95
_RESAMPLES = 4000
_BATCH_CELLS = 2_000_000  # values x resamples held at once, 16 MB
_SUBSETS = 100
_ENUMERATED = 11
"""Differing questions up to which every swap is tried: 2 to this power is no more than the resamples."""


class Interval(NamedTuple):
    """A confidence interval, in the unit of what was measured."""

    low: float
    high: float


def proportion_interval(successes: int, trials: int) -> Interval:
    """Wilson's 95 % interval of a proportion (0 to 1). Raises `ValueError` without trials."""
    from scipy.stats import binomtest

    if trials < 1:
        raise ValueError("a proportion of nothing has no interval: trials must be at least 1")
    found = binomtest(successes, trials).proportion_ci(CONFIDENCE, method="wilson")
    return Interval(float(found.low), float(found.high))


def mean_interval(rates: Sequence[float], seed: int = 0) -> Interval:
    """95 % interval of the mean of per-question rates (avg@k), by bootstrap over questions.

    Where all rates agree a bootstrap sees no spread at all and would claim certainty; then each question counts as
    one trial of Wilson's interval. Raises `ValueError` without rates.
    """
    if len(rates) == 0:
        raise ValueError("the mean of no questions has no interval")
    values, counts = _by_value(rates)
    if len(values) == 1:
        return proportion_interval(round(float(values[0]) * len(rates)), len(rates))
    return _bootstrap_mean(values, counts, seed)


def difference_interval(baseline: Sequence[float], model: Sequence[float], seed: int = 0) -> Interval:
    """95 % interval of the mean of `model - baseline`, question by question, by paired bootstrap."""
    values, counts = _by_value(_differences(baseline, model))
    if len(values) == 1:
        return Interval(float(values[0]), float(values[0]))
    return _bootstrap_mean(values, counts, seed)


def seeds_interval(values: Sequence[float]) -> Interval:
    """Student's 95 % interval of the mean of one figure over trainings. Raises `ValueError` for fewer than two."""
    import numpy
    from scipy.stats import t

    if len(values) < 2:
        raise ValueError("one training has no interval over seeds")
    middle, half = numpy.mean(values), numpy.std(values, ddof=1) / math.sqrt(len(values))
    half *= t.ppf((1 + CONFIDENCE) / 2, len(values) - 1)
    return Interval(float(middle - half), float(middle + half))


def _differences(baseline: Sequence[float], model: Sequence[float]) -> Any:
    import numpy

    if len(baseline) != len(model):
        raise ValueError(f"paired rates must be equally many, got {len(baseline)} and {len(model)}")
    return numpy.asarray(model, dtype=float) - numpy.asarray(baseline, dtype=float)


def _by_value(rates: Any) -> tuple[Any, Any]:
    """The distinct values and how often each comes; what differs by rounding alone is one value."""
    import numpy

    return numpy.unique(numpy.round(numpy.asarray(rates, dtype=float), 12), return_counts=True)


def _bootstrap_mean(values: Any, counts: Any, seed: int) -> Interval:
    import numpy

    rng, total = numpy.random.default_rng(seed), int(counts.sum())
    means = []
    left = _RESAMPLES
    while left:
        batch = min(left, max(1, _BATCH_CELLS // len(values)))
        means.append(rng.multinomial(total, counts / total, size=batch) @ values / total)
        left -= batch
    low, high = numpy.quantile(numpy.concatenate(means), ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2))
    return Interval(float(low), float(high))


def mcnemar_p(wins: int, losses: int) -> float:
    """Exact two-sided p-value that questions which only one of two models solved fall to either side by chance.

    McNemar (1947) in its exact form: a binomial test on the discordant pairs. 1.0 when there are none.
    """
    from scipy.stats import binomtest

    return float(binomtest(wins, wins + losses, 0.5).pvalue) if wins + losses else 1.0


def sign_flip_p(baseline: Sequence[float], model: Sequence[float], seed: int = 0) -> float:
    """Two-sided p-value of a paired difference of rates: how often random swaps of the two differ as much."""
    import numpy

    differences = _differences(baseline, model)
    values, counts = _by_value(numpy.abs(differences))
    values, counts = values[values > 0], counts[values > 0]
    if len(values) == 0:
        return 1.0
    seen, total = abs(float(differences.sum())) - 1e-9, int(counts.sum())
    if total <= _ENUMERATED:
        sizes = numpy.repeat(values, counts)
        signs = 1 - 2 * ((numpy.arange(2**total)[:, None] >> numpy.arange(total)) & 1)
        return float(numpy.mean(numpy.abs(signs @ sizes) >= seen))
    rng = numpy.random.default_rng(seed)
    extreme, left = 0, _RESAMPLES
    while left:
        batch = min(left, max(1, _BATCH_CELLS // len(values)))
        flipped = rng.binomial(counts, 0.5, size=(batch, len(values)))
        extreme += int(numpy.sum(numpy.abs((2 * flipped - counts) @ values) >= seen))
        left -= batch
    return (extreme + 1) / (_RESAMPLES + 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's (1979) adjusted p-values: below 0.05 the chance of any false claim among all of them is below 5 %."""
    adjusted, largest = [1.0] * len(p_values), 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = largest
    return adjusted


def pass_at_k(n: int, c: int, k: int) -> float:
    """Chance that at least one of `k` attempts is right, from `n` attempts of which `c` were: unbiased.

    Chen et al. 2021, arXiv 2107.03374. Raises `ValueError` when fewer than `k` attempts were made.
    """
    if not 0 <= c <= n or not 1 <= k <= n:
        raise ValueError(f"pass@{k} needs at least {k} attempts and 0 <= right <= attempts; got {c} right of {n}")
    return 1.0 - math.comb(n - c, k) / math.comb(n, k)


def majority_at_k(classes: Sequence[int | None], right: Sequence[int], k: int, seed: int = 0) -> float:
    """Chance that the most frequent answer of `k` attempts is right; `right` holds the classes that are.

    Attempts without an answer (None) have no vote, ties go to the first seen, and k below the number of attempts is
    averaged over random subsets. Raises `ValueError` when fewer than `k` attempts were made.
    """
    import random
    from collections import Counter

    if not 1 <= k <= len(classes):
        raise ValueError(f"maj@{k} needs at least {k} attempts, got {len(classes)}")
    if set(classes) <= set(right):
        return 1.0
    if not set(classes) & set(right):
        return 0.0
    draws, rng = (1, None) if k == len(classes) else (_SUBSETS, random.Random(seed))
    wins = 0
    for _ in range(draws):
        subset = classes if rng is None else [classes[i] for i in sorted(rng.sample(range(len(classes)), k))]
        votes = Counter(c for c in subset if c is not None)
        wins += bool(votes) and votes.most_common(1)[0][0] in right
    return wins / draws
