"""The model with the lowest dev loss so far, kept beside the checkpoints: `train.best: dev`.

`loop` adds the callback and takes the kept weights for the final model. A training that is killed and goes on still
knows the best of before; the test split plays no part.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lema_ray.config import ConfigError

NOTE = "best.json"


def keep_best(trainer: Any, folder: str) -> Any:
    """A callback that saves the model to `folder` whenever an evaluation on the dev split is the best one yet."""
    from transformers import TrainerCallback

    class KeepBest(TrainerCallback):  # type: ignore[misc]
        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if not trainer.eval_dataset or str(args.eval_strategy.value) == "no":
                raise ConfigError("train.best: dev needs dev rows (build.dev_fraction) and evaluation while training")

        def on_evaluate(self, args: Any, state: Any, control: Any, metrics: dict[str, float], **kwargs: Any) -> None:
            known = best_note(folder)
            if known and known["eval_loss"] <= metrics["eval_loss"]:
                return
            # Every worker takes part: under ZeRO-3 each holds a share of the weights.
            trainer.save_model(folder)
            if state.is_world_process_zero:
                note = {"step": state.global_step, "eval_loss": metrics["eval_loss"]}
                Path(folder, NOTE).write_text(json.dumps(note))
            trainer.accelerator.wait_for_everyone()

    return KeepBest()


def best_note(folder: str) -> dict[str, Any] | None:
    """`step` and `eval_loss` of the model in the folder; None where there is none."""
    path = Path(folder, NOTE)
    return dict(json.loads(path.read_text())) if path.exists() else None
