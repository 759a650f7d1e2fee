"""Estimates against a server whose tokens and latency are known."""

from __future__ import annotations

from typing import Any

import pytest

from lema_ray.config import RecipeConfig, parse_config
from lema_ray.demo.server import ServerOptions, running
from lema_ray.planning.estimate import dry_run, estimate
from lema_ray.planning.plan import plan_calls
from lema_ray.planning.probe import probe


def config(url: str = "http://127.0.0.1:9/v1", **corrector: Any) -> Any:
    prices = {"input_per_million": 2.0, "output_per_million": 10.0}
    engine = {"type": "openai", "model": "rule-based-teacher", "base_url": url, "prices": prices, **corrector}
    return parse_config(
        {
            "name": "e",
            "questions": {"train": {"source": "word_problems", "count": 50}},
            "students": [{"engine": {"type": "scripted"}, "samples": 3}],
            "corrector": {"engine": engine},
            "recipe": {"name": "lema", "tries": 2, "sampling": {"temperature": 0, "max_tokens": 400}},
        }
    )


def test_ranges_go_from_no_mistake_to_nothing_but_mistakes() -> None:
    _, asked = estimate(config(limits={"requests_per_minute": 100, "output_tokens_per_minute": 4000}))
    attempts, corrections = plan_calls(asked, {})
    assert attempts.calls == (150, 150) and attempts.cost == (0.0, 0.0) and attempts.seconds is None
    assert corrections.calls == (0, 200) and corrections.completion_tokens == (0, 200 * 400)
    assert corrections.seconds == (0.0, 60 * 80_000 / 4000), "tokens bind, not requests"
    most = corrections.prompt_tokens[1] * 2 / 1e6 + 80_000 * 10 / 1e6
    assert corrections.cost[1] == pytest.approx(most, rel=1e-3)


def test_a_probe_narrows_the_range_to_what_the_endpoint_does() -> None:
    with running(ServerOptions(latency_s=0.2)) as url:
        asking_all = config(url, concurrency=10)
        _, asked = estimate(asking_all)
        seen = probe(asked, 4)["corrections lema"]
        text, _ = estimate(asking_all, probes=4)
    assert 100 < seen.prompt_tokens[0] <= seen.prompt_tokens[1]
    assert 0 < seen.completion_tokens[0] <= seen.completion_tokens[1] < 400
    assert 0.2 <= seen.seconds[0] <= seen.seconds[1] < 3
    (_, plan) = plan_calls(asked, {"corrections lema": seen})
    assert plan.seconds is not None and plan.seconds[1] == pytest.approx(200 * seen.seconds[1] / 10)
    assert "4 probes" in text and "not known" in text


def test_a_dry_run_shows_prices_with_their_source_and_whole_prompts() -> None:
    text = dry_run(config())
    assert "price of corrections lema: config" in text and "Original Solution" in text


def test_what_a_recipe_asks_the_student_is_planned_beside_what_it_asks_the_corrector() -> None:
    recipe = RecipeConfig(name="s3c", corrections_per_question=2, options={"rollouts": 4, "candidates": 3})
    _, asked = estimate(config().model_copy(update={"recipe": recipe}))
    calls = {asking.stage: asking.calls for asking in asked}
    per_point = 4 + 3 * (1 + 4)
    assert calls["student s3c"] == (0, 50 * 2 * per_point) and calls["corrections s3c"] == (0, 50 * 2)
    assert next(a for a in asked if a.stage == "student s3c").engine.type == "scripted"
