"""A run's verifier as a Ray task: from collected rows to a folder that loads, and its refusals as they were raised."""

from __future__ import annotations

from pathlib import Path

import pytest
from on_ray_config import small

from lema_ray.config import RunConfig, parse_config
from lema_ray.on_ray.verifier import describe, train_run_verifier
from lema_ray.records import Attempt, Grade, GradedAttempt, GradedQuestion, Question
from lema_ray.runs import RunFolder
from lema_ray.self_correction.trained_verifier import FILE, TrainedVerifier
from lema_ray.training.verifier_rows import VerifierError

pytestmark = [pytest.mark.ray, pytest.mark.train, pytest.mark.usefixtures("cluster")]


def collected(folder: Path, verdicts: tuple[str, ...]) -> tuple[RunConfig, RunFolder]:
    """A run with an attempt of each verdict at every question, and settings for a model that is made in no time."""
    told = {"method": "full", "learning_rate": 0.003, "epochs": 2, "batch_size": 16}
    config = parse_config(small(folder, verifier=told))
    run, texts = RunFolder(config.folder), {"right": "3-2=1\nThe answer is 1.", "wrong": "Tom has 12 apples."}
    rows = [
        GradedQuestion(
            Question(f"q{n}", f"Tom has {n} apples. How many are left?", "1", "s"),
            tuple(GradedAttempt(Attempt(v, texts[v], "m"), Grade(v, "1")) for v in verdicts),  # type: ignore[arg-type]
        )
        for n in range(80)
    ]
    run.write_records(rows, GradedQuestion, "collected", "part-0.parquet")
    return config, run


def test_a_verifier_is_trained_described_and_loaded(tmp_path: Path, tiny_model: Path) -> None:
    config, run = collected(tmp_path, ("right", "wrong"))
    told = train_run_verifier(config, run, str(tiny_model))
    assert told == run.read_json("verifier", FILE) and told["test"]["auc"] > 0.95
    assert f"threshold {told['threshold']:.2f}" in describe(told) and "AUC" in describe(told)
    right, wrong = TrainedVerifier(run.uri("verifier")).judge(["3-2=1\nThe answer is 1.", "Tom has 12 apples."])
    assert right < wrong


def test_one_class_is_refused_in_its_own_words(tmp_path: Path, tiny_model: Path) -> None:
    config, run = collected(tmp_path, ("wrong",))
    with pytest.raises(VerifierError, match="no right attempts among"):
        train_run_verifier(config, run, str(tiny_model))
    assert not run.exists("verifier")
