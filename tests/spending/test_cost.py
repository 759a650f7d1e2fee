"""Prices and sums of money."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path
from random import Random

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from lema_ray.config import ConfigError, OpenAISpec, PriceConfig, parse_config
from lema_ray.runs import open_run
from lema_ray.spending.cost import GRAIN, Price, price_of

PRICES = st.floats(0, 200, allow_nan=False)
TOKENS = st.integers(0, 2_000_000)


@given(st.lists(st.tuples(TOKENS, TOKENS), max_size=200), PRICES, PRICES, st.integers())
def test_sums_of_costs_are_exact_in_any_order(
    tokens: list[tuple[int, int]], low: float, high: float, seed: int
) -> None:
    price = Price(low, high)
    costs = [price.cost(*pair) for pair in tokens]
    shuffled = Random(seed).sample(costs, len(costs))
    half = len(costs) // 2
    assert sum(costs) == sum(shuffled) == sum(costs[:half]) + sum(costs[half:]) == math.fsum(costs)
    assert Fraction(sum(costs)) == sum(map(Fraction, costs))


@given(TOKENS, TOKENS, PRICES, PRICES)
def test_a_cost_is_the_price_to_a_tenth_of_a_billionth(prompt: int, said: int, low: float, high: float) -> None:
    exact = (prompt * Fraction(low) + said * Fraction(high)) / 10**6
    assert abs(Fraction(Price(low, high).cost(prompt, said)) - exact) <= GRAIN + exact / 10**12


def test_the_list_is_dated_and_a_config_goes_before_it() -> None:
    listed = price_of(OpenAISpec(model="gpt-4o"))
    assert (listed.input_per_million, listed.output_per_million) == (2.5, 10.0) and "2026" in listed.source
    assert price_of(OpenAISpec(model="gpt-4o", batch={})).output_per_million == 5.0
    assert price_of(OpenAISpec(model="gpt-4o", prices=PriceConfig(input_per_million=1))).output_per_million == 0
    assert price_of(OpenAISpec(model="gpt-4o", base_url="http://127.0.0.1:1/v1")).source == "no price is known"


def test_a_server_of_ones_own_costs_gpu_hours() -> None:
    price = price_of(OpenAISpec(model="m", prices=PriceConfig(gpu_hour=3.6, gpus=2, tokens_per_second=1000)))
    # An hour makes 3.6 million tokens for 7.2.
    assert price.cost(10_000, 3_600_000) == pytest.approx(7.2)
    with pytest.raises(ValueError, match="tokens_per_second"):
        PriceConfig(gpu_hour=1)
    with pytest.raises(ValueError, match="not both"):
        PriceConfig(gpu_hour=1, tokens_per_second=1, input_per_million=1)


def test_only_the_budget_may_change_between_two_starts(tmp_path: Path) -> None:
    raw = {"name": "r", "runs_dir": str(tmp_path), "questions": {"train": {"source": "word_problems"}}}
    raw |= {"students": [{"engine": {"type": "scripted"}}], "corrector": {"engine": {"type": "scripted"}}}
    open_run(parse_config(raw | {"budget": {"money": 1.0}}))
    run = open_run(parse_config(raw | {"budget": {"money": 2.0}}))
    assert yaml.safe_load(run.read_text("config.yaml"))["budget"]["money"] == 2.0
    with pytest.raises(ConfigError, match="seed: was 0, is 1"):
        open_run(parse_config(raw | {"seed": 1, "budget": {"money": 3.0}}))
