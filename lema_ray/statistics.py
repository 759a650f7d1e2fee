"""Intervals and paired tests for scores: what can be said from so many questions, and no more.

Called by `evaluation`. scipy does the mathematics and is imported late, because it takes a second. The unit that is
resampled is the question, never the attempt: several attempts at one question are not independent of each other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

CONFIDENCE = 0.95
_RESAMPLES = 4000
_BATCH_CELLS = 2_000_000  # questions x resamples held at once, 16 MB


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
    if not rates:
        raise ValueError("the mean of no questions has no interval")
    if len(set(rates)) == 1:
        return proportion_interval(round(rates[0] * len(rates)), len(rates))
    return _bootstrap_mean(rates, seed)


def difference_interval(baseline: Sequence[float], model: Sequence[float], seed: int = 0) -> Interval:
    """95 % interval of the mean of `model - baseline`, question by question, by paired bootstrap."""
    differences = [b - a for a, b in zip(baseline, model, strict=True)]
    if len(set(differences)) == 1:
        return Interval(differences[0], differences[0])
    return _bootstrap_mean(differences, seed)


def _bootstrap_mean(values: Sequence[float], seed: int) -> Interval:
    import numpy
    from scipy.stats import bootstrap

    found = bootstrap(
        (numpy.asarray(values, dtype=float),),
        numpy.mean,
        n_resamples=_RESAMPLES,
        batch=max(1, _BATCH_CELLS // len(values)),
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=numpy.random.default_rng(seed),
    ).confidence_interval
    return Interval(float(found.low), float(found.high))


def mcnemar_p(wins: int, losses: int) -> float:
    """Exact two-sided p-value that questions which only one of two models solved fall to either side by chance.

    McNemar (1947) in its exact form: a binomial test on the discordant pairs. 1.0 when there are none.
    """
    from scipy.stats import binomtest

    return float(binomtest(wins, wins + losses, 0.5).pvalue) if wins + losses else 1.0


def sign_flip_p(baseline: Sequence[float], model: Sequence[float], seed: int = 0) -> float:
    """Two-sided p-value of a paired difference of rates: how often random swaps of the two differ as much."""
    import numpy
    from scipy.stats import permutation_test

    def mean_difference(a: numpy.ndarray, b: numpy.ndarray, axis: int) -> numpy.ndarray:
        return numpy.mean(b - a, axis=axis)  # type: ignore[no-any-return]

    pairs = [(a, b) for a, b in zip(baseline, model, strict=True) if a != b]
    if not pairs:
        return 1.0
    found = permutation_test(
        tuple(numpy.asarray(side, dtype=float) for side in zip(*pairs, strict=True)),
        mean_difference,
        permutation_type="samples",
        vectorized=True,
        n_resamples=_RESAMPLES,
        batch=max(1, _BATCH_CELLS // len(pairs)),
        rng=numpy.random.default_rng(seed),
    )
    return float(found.pvalue)


def pass_at_k(n: int, c: int, k: int) -> float:
    """Chance that at least one of `k` attempts is right, from `n` attempts of which `c` were: unbiased.

    Chen et al. 2021, arXiv 2107.03374. Raises `ValueError` when fewer than `k` attempts were made.
    """
    if not 0 <= c <= n or not 1 <= k <= n:
        raise ValueError(f"pass@{k} needs at least {k} attempts and 0 <= right <= attempts; got {c} right of {n}")
    return 1.0 - math.comb(n - c, k) / math.comb(n, k)
