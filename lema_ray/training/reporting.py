"""Where trackers put what they are told, when nobody said: into the run folder. `on_ray.training_worker` calls this.

`train.trainer.report_to` names them. By themselves they write beside the trainer's checkpoints or into the process's
directory, which on a worker are temporary.
"""

from __future__ import annotations

import os

from lema_ray.runs import RunFolder

TENSORBOARD = "TENSORBOARD_LOGGING_DIR"


def reported(run: RunFolder, name: str) -> None:
    """Set the trackers' own variables for one model, unless the user has: its curves and those of the other models.

    A run folder in a bucket gets none of it: there the user names the places.
    """
    if run.in_bucket:
        return
    if os.environ.get(TENSORBOARD, run.root).startswith(run.root):
        os.environ[TENSORBOARD] = run.uri("trackers", "tensorboard", name)
    folder = run.uri("trackers")
    os.makedirs(folder, exist_ok=True)
    os.environ.setdefault("TRACKIO_DIR", f"{folder}/trackio")
    os.environ.setdefault("WANDB_DIR", folder)
    os.environ.setdefault("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
