"""The arms of a run beside one another: what each cost to make, what it was trained on, and what came of it.

`methods_table` shows it, in the report and for `lema methods`. Shares are means over the training seeds, with
Student's interval over them; of one model alone the interval is over questions. The difference to the baseline (the
first arm) is paired by question, over all seeds together, with its interval over questions.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from lema_ray.config import ArmConfig, ConfigError
from lema_ray.evaluation.scores import Comparison, Score, read_model_scores, read_scores
from lema_ray.examples.units import group_of
from lema_ray.records import GradedQuestion
from lema_ray.runs import RunFolder
from lema_ray.statistics import seeds_interval

SHARES = ("first_accuracy", "final_accuracy", "wrong_to_right", "right_to_wrong")


@dataclass(frozen=True, slots=True)
class Made:
    """What making an arm's corrections took. `rows` are those that passed `build`, before arms were matched in size."""

    rows: int = 0
    corrector: int = 0
    student: int = 0
    cost: float = 0.0

    def per_row(self, spent: float) -> float | None:
        """A sum by accepted rows; None without any."""
        return spent / self.rows if self.rows else None


@dataclass(frozen=True, slots=True)
class Method:
    """One line: an arm (or the base) asked in one way. `shares` has (mean, low, high) by name; rates are 0 to 1."""

    arm: str
    sampling: str
    seeds: int
    shares: dict[str, tuple[float, float, float]]
    against: Comparison | None
    tokens_per_answer: float
    train: dict[str, Any] = field(default_factory=dict)
    made: Made | None = None


@dataclass(slots=True)
class Requests:
    """What each recipe asked for, from one pass over `collected/`."""

    asked: Counter[tuple[str, str]] = field(default_factory=Counter)
    money: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))

    def add(self, graded: GradedQuestion) -> None:
        """Count one question."""
        for one in graded.spent:
            self.asked[one.recipe, one.by] += one.requests
            self.money[one.recipe] += one.cost

    def made(self, recipe: str, rows: int) -> Made:
        """What so many accepted rows of a recipe took."""
        return Made(rows, self.asked[recipe, "corrector"], self.asked[recipe, "student"], self.money[recipe])


def read_requests(run: RunFolder) -> Requests:
    """The requests of a run's recipes; none of a run that only examines models."""
    requests = Requests()
    if run.files("collected", suffix=".parquet"):
        for graded in run.read_records(GradedQuestion, "collected"):
            requests.add(graded)
    return requests


def methods(run: RunFolder, requests: Requests) -> list[Method]:
    """One line for each arm and way of asking, in their order. Raises `ConfigError` before the evaluation."""
    scores, comparisons = read_scores(run)
    if not scores:
        raise ConfigError(f"{run.root}: no evaluation to tell of; run `lema evaluate` first")
    config = yaml.safe_load(run.read_text("config.yaml"))
    arms = config["build"]["arms"]
    baseline, singles = next(iter(arms)), read_model_scores(run)
    card = run.read_json("examples", "card.json") if run.exists("examples", "card.json") else {"arms": {}}
    made = _made(config, card, requests)
    return [
        Method(
            s.model,
            s.sampling,
            s.seeds,
            {name: _share(name, s, _seeds_of(s, singles)) for name in SHARES},
            next(
                (c for c in comparisons if (c.baseline, c.model, c.sampling) == (baseline, s.model, s.sampling)), None
            ),
            s.tokens_per_answer,
            card["arms"].get(s.model, {}).get("train", {}),
            made.get(s.model),
        )
        for s in scores
    ]


def _seeds_of(pooled: Score, singles: Sequence[Score]) -> list[Score]:
    """The arm's own models: the plain name is the first seed's."""
    same = [s for s in singles if s.sampling == pooled.sampling]
    return [s for s in same if s.model == pooled.model or s.model.rpartition("-seed")[0] == pooled.model]


def _share(name: str, whole: Score, each: Sequence[Score]) -> tuple[float, float, float]:
    if len(each) < 2:
        low, high = (whole.low, whole.high) if name == "final_accuracy" else (float("nan"), float("nan"))
        return whole.self_correction.get(name, float("nan")), low, high
    values = [s.self_correction.get(name, float("nan")) for s in each]
    low, high = seeds_interval(values)
    return sum(values) / len(values), max(low, 0.0), min(high, 1.0)


def _made(config: Mapping[str, Any], card: Mapping[str, Any], requests: Requests) -> dict[str, Made]:
    """By arm: rows of its method that `build` kept, and what its method asked for; none if that was another run."""
    made: dict[str, Made] = {}
    if not requests.asked:
        return made
    for name, settings in config["build"]["arms"].items():
        arm = ArmConfig.model_validate(settings)
        if "corrections" in arm.rows:
            rows = card.get("candidates", {}).get(group_of("corrections", arm), 0)
            made[name] = requests.made(arm.recipe or config["recipe"]["name"], rows)
    return made
