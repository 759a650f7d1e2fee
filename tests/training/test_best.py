"""The weights with the lowest dev loss are found again in a bucket after a kill, whatever was being written."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from s3_server import BUCKET, s3_server

from lema_ray.runs import RunFolder
from lema_ray.training import best
from lema_ray.training.best import best_note, keep_best, take_best


@pytest.fixture(params=["bucket", "folder"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    if request.param == "folder":
        yield str(tmp_path / "run" / "best")
        return
    with s3_server() as environment:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        yield f"s3://{BUCKET}/run/checkpoints/lema/best"


def start(place: str, scratch: Path) -> Any:
    """What a worker that starts does with the callback: `evaluated(step, loss)` saves a model that says its step."""
    state = SimpleNamespace(global_step=0, is_world_process_zero=True)

    def save_model(folder: str) -> None:
        Path(folder).mkdir(parents=True)
        Path(folder, "model.safetensors").write_text(f"of step {state.global_step}")

    trainer = SimpleNamespace(
        eval_dataset=[1], save_model=save_model, accelerator=SimpleNamespace(wait_for_everyone=lambda: None)
    )
    callback = keep_best(trainer, place, str(scratch / "best"))
    callback.on_train_begin(SimpleNamespace(eval_strategy=SimpleNamespace(value="steps")), state, None)

    def evaluated(step: int, loss: float) -> None:
        state.global_step = step
        callback.on_evaluate(None, state, None, {"eval_loss": loss})

    return evaluated


def kept(place: str, folder: Path) -> str:
    take_best(place, str(folder))
    return (folder / "model.safetensors").read_text()


def test_a_training_that_goes_on_elsewhere_knows_the_best_of_before(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluated = start(place, tmp_path)
    assert best_note(place) is None
    for step, loss in ((2, 1.0), (4, 0.5), (6, 0.7)):
        evaluated(step, loss)
    assert kept(place, tmp_path / "first") == "of step 4"

    evaluated, copy = start(place, tmp_path / "elsewhere"), best._copy

    def killed(source: str, target: str) -> None:
        copy(source, target)
        raise KeyboardInterrupt

    with monkeypatch.context() as while_copying, pytest.raises(KeyboardInterrupt):
        while_copying.setattr(best, "_copy", killed)
        evaluated(8, 0.4)
    assert kept(place, tmp_path / "second") == "of step 4"

    evaluated = start(place, tmp_path / "third-worker")
    evaluated(8, 0.6)
    assert kept(place, tmp_path / "third") == "of step 4"
    evaluated(10, 0.3)
    assert kept(place, tmp_path / "fourth") == "of step 10"
    assert len(RunFolder(place).files()) == 2, "the note and one model"
