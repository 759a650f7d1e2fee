"""The model with the lowest dev loss so far, kept beside the checkpoints: `train.best: dev`.

`loop` adds the callback and takes the kept weights for the final model. They are in the run folder, also in a bucket,
and a note that is written last names them: a training that is killed, be it while they are written, and goes on
still knows the best of before. The test split plays no part.
"""

from __future__ import annotations

import math
import secrets
import shutil
from pathlib import Path
from typing import Any

from pyarrow import fs

from lema_ray.config import ConfigError
from lema_ray.runs import RunFolder

NOTE = "best.json"


def keep_best(trainer: Any, place: str, scratch: str) -> Any:
    """A callback that keeps the model whenever an evaluation on the dev split is the best one yet.

    `place` is a directory or URI that outlives the worker, `scratch` a local directory.
    """
    from transformers import TrainerCallback

    class KeepBest(TrainerCallback):  # type: ignore[misc]
        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if not trainer.eval_dataset or str(args.eval_strategy.value) == "no":
                raise ConfigError("train.best: dev needs dev rows (build.dev_fraction) and evaluation while training")
            self.lowest = (best_note(place) or {"eval_loss": math.inf})["eval_loss"]

        def on_evaluate(self, args: Any, state: Any, control: Any, metrics: dict[str, float], **kwargs: Any) -> None:
            # Known by each worker for itself: a note read here could be one that the first worker just wrote.
            if self.lowest <= metrics["eval_loss"]:
                return
            self.lowest = metrics["eval_loss"]
            # Every worker takes part: under ZeRO-3 each holds a share of the weights.
            trainer.save_model(scratch)
            if state.is_world_process_zero:
                keep(place, scratch, {"step": state.global_step, "eval_loss": metrics["eval_loss"]})
                shutil.rmtree(scratch)
            trainer.accelerator.wait_for_everyone()

    return KeepBest()


def keep(place: str, folder: str, note: dict[str, Any]) -> None:
    """Copy a model's folder to `place` and make it the best one. Others there, a half written one too, go last."""
    run, name = RunFolder(place), f"step-{note['step']}-{secrets.token_hex(4)}"
    _copy(folder, run.uri(name))
    run.write_json(note | {"folder": name}, NOTE)
    for other in {file.split("/")[0] for file in run.files()} - {name, NOTE}:
        run.remove(other)


def best_note(place: str) -> dict[str, Any] | None:
    """`step`, `eval_loss` and `folder` of the model that is kept; None where there is none."""
    run = RunFolder(place)
    return dict(run.read_json(NOTE)) if run.exists(NOTE) else None


def take_best(place: str, folder: str) -> None:
    """Copy the model that is kept to a local directory."""
    note = best_note(place) or {}
    _copy(RunFolder(place).uri(note["folder"]), folder)


def _copy(source: str, target: str) -> None:
    if "://" not in target:
        Path(target).mkdir(parents=True, exist_ok=True)
    fs.copy_files(source, target)
