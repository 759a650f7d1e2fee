"""Money: what tokens cost, how much may be spent, and sums that are exact. Used by engines, `limiter` and `plan`.

Prices are data (`prices.yaml`, with date and source), and a config's own prices go before them. The cost of a
completion is a multiple of 2**-34 (6e-11), so that float sums of costs are exact in any order up to half a million: the
ledger, the progress and the paid log agree to the last bit with the records.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import yaml

from lema_ray.config import OpenAISpec, PriceConfig

GRAIN = 2.0**-34


@dataclass(frozen=True, slots=True)
class Price:
    """Money per million tokens, and where that is known from."""

    input_per_million: float = 0.0
    output_per_million: float = 0.0
    source: str = "no price is known"

    def cost(self, prompt_tokens: int, completion_tokens: int) -> float:
        """The cost of one completion, on the grain."""
        exact = (prompt_tokens * self.input_per_million + completion_tokens * self.output_per_million) / 1e6
        return round(exact / GRAIN) * GRAIN


@cache
def _price_list() -> dict[str, Any]:
    return dict(yaml.safe_load(resources.files("lema_ray.spending").joinpath("prices.yaml").read_text()))


def price_of(spec: OpenAISpec) -> Price:
    """The price of an endpoint: the config's, else the list's for that host and model, else nothing."""
    if spec.prices is not None:
        return _configured(spec.prices)
    listed = _price_list()
    host = spec.base_url or "https://api.openai.com/v1"
    for provider in listed["providers"]:
        found = provider["models"].get(spec.model)
        if provider["host"] in host and found:
            half = 1.0 if spec.batch is None else 0.5
            source = f"{provider['source']}, {provider['date']}" + (", batch: half" if spec.batch is not None else "")
            return Price(found["input"] * half, found["output"] * half, source)
    return Price()


def _configured(prices: PriceConfig) -> Price:
    if prices.gpu_hour is None:
        return Price(prices.input_per_million, prices.output_per_million, "config")
    per_token = prices.gpu_hour * prices.gpus / 3600 / prices.tokens_per_second
    source = f"config: {prices.gpus} GPU at {prices.gpu_hour:g} an hour, {prices.tokens_per_second:g} new tokens/s"
    return Price(0.0, per_token * 1e6, source)


@dataclass(slots=True)
class Budget:
    """A cap on money and on tokens for a whole run. What is open is held at its most, so that the cap is kept."""

    money: float | None = None
    tokens: int | None = None
    spent_money: float = 0.0
    spent_tokens: int = 0
    held_money: float = 0.0
    held_tokens: int = 0
    open: int = 0

    @property
    def is_open(self) -> bool:
        """Whether something is held that may be given back."""
        return self.open > 0

    def hold(self, cost: float, tokens: int) -> bool:
        """Hold the most that a request may use; False when it does not fit."""
        if self.money is not None and self.spent_money + self.held_money + cost > self.money:
            return False
        if self.tokens is not None and self.spent_tokens + self.held_tokens + tokens > self.tokens:
            return False
        self.held_money, self.held_tokens, self.open = self.held_money + cost, self.held_tokens + tokens, self.open + 1
        return True

    def release(self, cost: float, tokens: int) -> None:
        """Give back what was held."""
        self.held_money, self.held_tokens, self.open = self.held_money - cost, self.held_tokens - tokens, self.open - 1

    def spend(self, cost: float, tokens: int) -> None:
        """Count what was used in truth."""
        self.spent_money += cost
        self.spent_tokens += tokens

    def reached(self) -> str:
        """Why nothing more is sent, and what to do."""
        money = f"{self.spent_money:,.6g} of budget.money {self.money:,.6g}" if self.money is not None else ""
        tokens = f"{self.spent_tokens:,} of budget.tokens {self.tokens:,}" if self.tokens is not None else ""
        return (
            f"the budget is reached: spent {' and '.join(filter(None, (money, tokens)))}, and the next request may take"
            " it over. All that was received is kept; raise the budget and run the same command again to go on."
        )
