"""Evaluation of models that no training made: any engine, without a train stage, scored and compared."""

from __future__ import annotations

from pathlib import Path

import pytest

from lema_ray.compare_runs import compare_runs
from lema_ray.evaluation import read_scores
from lema_ray.on_ray.flow import Flow

pytestmark = [pytest.mark.ray, pytest.mark.timeout(300)]


def test_two_engines_are_examined_without_any_training(cluster, make_config, tmp_path: Path) -> None:
    models = {
        name: {"type": "scripted", "script": f"on_ray_scripts:{name}", "model": name} for name in ("guess", "silent")
    }
    sampling = [{"name": "greedy"}, {"name": "hot", "temperature": 1.0, "samples": 4}]
    evaluate = {"trained": False, "models": models, "sampling": sampling, "also_graded_by": ["gsm8k_flexible"]}
    flow = Flow(make_config(evaluate=evaluate))
    flow.questions()
    flow.evaluate()
    scores, comparisons = read_scores(flow.run)
    assert {(s.model, s.sampling, s.questions) for s in scores} == {
        (m, s["name"], 10) for m in models for s in sampling
    }
    silent = next(s for s in scores if s.model == "silent")
    assert (silent.pass_at_1, silent.no_answer, silent.by_mode["gsm8k_flexible"]) == (0, 1, 0)
    assert {c.p_holm is not None for c in comparisons} == {True}
    found = compare_runs([flow.run.root])
    rates = {(s.model, s.sampling): s.pass_at_1 for s in scores}
    assert {(s.model, s.sampling): s.pass_at_1 for s in found.scores} == rates
