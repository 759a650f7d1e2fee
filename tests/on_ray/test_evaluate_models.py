"""Evaluation of models that no training made: any engine, without a train stage, scored and compared."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
import yaml
from killing import kill_driver
from on_ray_config import small

from lema_ray.demo.server import ServerOptions, running
from lema_ray.evaluation.compare_runs import compare_runs
from lema_ray.evaluation.earlier_answers import PARTS
from lema_ray.evaluation.scores import read_scores
from lema_ray.on_ray.flow import Flow
from lema_ray.records import GradedQuestion
from lema_ray.runs import RunFolder

pytestmark = [pytest.mark.ray, pytest.mark.timeout(900)]


def test_two_engines_are_examined_without_any_training(cluster, make_config, tmp_path: Path) -> None:
    models = {
        name: {"type": "scripted", "script": f"on_ray_scripts:{name}", "model": name} for name in ("guess", "silent")
    }
    sampling = [
        {"name": "greedy"},
        {"name": "hot", "temperature": 1.0, "samples": 4},
        {"name": "voted", "policy": {"policy": "vote", "samples": 3}},
    ]
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
    voted = next(s for s in scores if (s.model, s.sampling) == ("guess", "voted"))
    assert voted.policy == "vote" and voted.self_correction["requests"] >= 3
    assert {(c.baseline, c.model) for c in comparisons if c.sampling == "policies"} == {
        (f"{m} greedy", f"{m} voted") for m in models
    }
    found = compare_runs([flow.run.root])
    rates = {(s.model, s.sampling): s.pass_at_1 for s in scores}
    assert {(s.model, s.sampling): s.pass_at_1 for s in found.scores} == rates


def test_a_killed_evaluation_goes_on_from_its_last_finished_chunk(tmp_path: Path) -> None:
    with running(ServerOptions(latency_s=0.2)) as url:
        engine = {"type": "openai", "model": "rule-based-teacher", "base_url": url, "concurrency": 16}
        questions = {
            "train": {"source": "word_problems", "count": 20, "seed": 1},
            "test": {"source": "word_problems", "count": 640, "seed": 2},
            "overlap": "drop",
        }
        evaluate = {"trained": False, "models": {"teacher": engine}}
        config = tmp_path / "run.yaml"
        config.write_text(yaml.safe_dump(small(tmp_path, questions=questions, evaluate=evaluate, ray={"num_cpus": 4})))
        run = RunFolder(f"{tmp_path}/small")
        driver, deadline = lema("evaluate", config), time.monotonic() + 240
        while len(run.files(PARTS, suffix=".parquet")) < 3:
            assert driver.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
        kill_driver(driver)
        kept = {row.question.id for row in run.read_records(GradedQuestion, PARTS)}
        assert not run.files("evaluations", suffix=".parquet") and len(kept) >= 3 * 64
        before = sent(url)
        again = lema("evaluate", config)
        assert again.wait(timeout=480) == 0
        asked = sent(url) - before
    rows = list(run.read_records(GradedQuestion, "evaluations", "teacher--greedy.parquet"))
    assert asked == len(rows) - len(kept) < len(rows)
    assert len({row.question.id for row in rows}) == len(rows) > 600
    assert all(g.grade.rules != ("ungraded",) for row in rows for g in row.attempts)
    assert not run.exists(PARTS, "teacher--greedy") and read_scores(run)[0][0].pass_at_1 == 1


def lema(command: str, config: Path) -> subprocess.Popen[bytes]:
    path = os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parents[2])])
    environment = {k: v for k, v in os.environ.items() if k != "RAY_ADDRESS"} | {"PYTHONPATH": path}
    arguments = [sys.executable, "-m", "lema_ray.cli", command, str(config)]
    return subprocess.Popen(arguments, env=environment, stderr=subprocess.DEVNULL, start_new_session=True)


def sent(url: str) -> int:
    return int(json.load(urllib.request.urlopen(url.replace("/v1", "/stats")))["requests"])
