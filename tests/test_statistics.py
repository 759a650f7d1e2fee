"""Statistics against brute force, published values and simulation."""

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lema_ray import statistics


def test_wilson_matches_the_published_example() -> None:
    # Newcombe 1998, table I: 81 of 263.
    low, high = statistics.proportion_interval(81, 263)
    assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)


def test_wilson_never_claims_certainty() -> None:
    assert statistics.proportion_interval(0, 20).high > 0.1
    assert statistics.proportion_interval(20, 20).low < 0.9


@given(st.integers(1, 9), st.data())
def test_pass_at_k_is_the_share_of_subsets_with_a_right_one(n: int, data: st.DataObject) -> None:
    c, k = data.draw(st.integers(0, n)), data.draw(st.integers(1, n))
    subsets = list(combinations([True] * c + [False] * (n - c), k))
    assert statistics.pass_at_k(n, c, k) == pytest.approx(sum(map(any, subsets)) / len(subsets))


@pytest.mark.parametrize("n, c, k", [(3, 1, 4), (3, 4, 1), (3, -1, 1), (3, 1, 0)])
def test_pass_at_k_refuses_what_it_cannot_know(n: int, c: int, k: int) -> None:
    with pytest.raises(ValueError, match="pass@"):
        statistics.pass_at_k(n, c, k)


def _tail(wins: int, losses: int) -> float:
    from math import comb

    n = wins + losses
    return min(1.0, 2 * sum(comb(n, i) for i in range(min(wins, losses) + 1)) / 2**n)


@given(st.integers(0, 30), st.integers(0, 30))
def test_mcnemar_is_twice_the_binomial_tail(wins: int, losses: int) -> None:
    assert statistics.mcnemar_p(wins, losses) == pytest.approx(_tail(wins, losses))


@settings(max_examples=20, deadline=None)
@given(st.lists(st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]), min_size=1, max_size=60))
def test_mean_interval_holds_the_mean_and_has_width(rates: list[float]) -> None:
    low, high = statistics.mean_interval(rates)
    assert 0 <= low <= sum(rates) / len(rates) + 1e-9 and sum(rates) / len(rates) - 1e-9 <= high <= 1
    assert high > low


def test_mean_interval_agrees_with_the_normal_one() -> None:
    rates = [0.0, 0.25, 0.5, 1.0] * 250
    low, high = statistics.mean_interval(rates)
    mean = sum(rates) / len(rates)
    error = (sum((r - mean) ** 2 for r in rates) / (len(rates) - 1) / len(rates)) ** 0.5
    assert low == pytest.approx(mean - 1.96 * error, abs=0.1 * error)
    assert high == pytest.approx(mean + 1.96 * error, abs=0.1 * error)


def test_pairing_sees_a_difference_that_two_intervals_would_hide() -> None:
    baseline = [i % 2 / 1 for i in range(400)]
    model = [1.0 if i % 16 == 0 else rate for i, rate in enumerate(baseline)]
    low, high = statistics.difference_interval(baseline, model)
    assert 0 < low < 25 / 400 < high
    assert statistics.proportion_interval(200, 400).high > statistics.proportion_interval(225, 400).low
    assert statistics.mcnemar_p(25, 0) == pytest.approx(2**-24)


def test_sign_flips_equal_the_exact_enumeration_when_small() -> None:
    # Differences 0.25, 0.5, 1.0: only the two extreme signings of eight reach a mean this large.
    assert statistics.sign_flip_p([0.0, 0.0, 0.0, 0.5], [0.25, 0.5, 1.0, 0.5]) == pytest.approx(2 / 8)
    assert statistics.sign_flip_p([0.5, 1.0], [0.5, 1.0]) == 1.0


def test_same_seed_same_numbers() -> None:
    rates = [0.0, 0.5, 1.0] * 30
    assert statistics.mean_interval(rates, seed=3) == statistics.mean_interval(rates, seed=3)


def test_the_interval_over_seeds_is_students() -> None:
    low, high = statistics.seeds_interval([0.60, 0.63, 0.66])
    assert (low, high) == pytest.approx((0.63 - 4.3027 * 0.03 / 3**0.5, 0.63 + 4.3027 * 0.03 / 3**0.5), abs=1e-5)
    with pytest.raises(ValueError, match="one training"):
        statistics.seeds_interval([0.6])
