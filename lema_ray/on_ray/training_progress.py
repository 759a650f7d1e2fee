"""How far a training is: the first worker leaves a note in the run folder, the driver prints it as it changes.

`on_ray.trainer` uses both ends. A note is a file, so it also tells a reader of the folder what a lost driver was doing.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from lema_ray.on_ray import metrics
from lema_ray.on_ray.progress import displayed
from lema_ray.runs import RunFolder
from lema_ray.training.note import describe_note, read_note, write_note


def progress_callback(run: RunFolder, arm: str) -> Any:
    """A transformers callback that notes step, loss and pace whenever the trainer logs."""
    from transformers import TrainerCallback

    start = time.monotonic()

    class Note(TrainerCallback):  # type: ignore[misc]
        def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any], **kwargs: Any) -> None:
            if "loss" in logs and state.is_world_process_zero:
                seconds = time.monotonic() - start
                note = {"step": state.global_step, "steps": state.max_steps, "loss": logs["loss"], "seconds": seconds}
                write_note(run, arm, note)
                metrics.put("lema_training_step", state.global_step, arm=arm)
                metrics.put("lema_training_steps", state.max_steps, arm=arm)
                metrics.put("lema_training_loss", logs["loss"], arm=arm)

    return Note()


@contextmanager
def followed(run: RunFolder, arms: Sequence[str], every_s: float = 5.0) -> Iterator[None]:
    """Print each arm's progress to stderr while the body runs."""
    with displayed(_follow, run, arms, every_s):
        yield


def _follow(run: RunFolder, arms: Sequence[str], every_s: float, done: threading.Event) -> None:
    shown: dict[str, Any] = {arm: read_note(run, arm) for arm in arms}
    while not done.wait(every_s):
        for arm in arms:
            note = read_note(run, arm)
            if note and note != shown[arm]:
                print(describe_note(arm, note), file=sys.stderr, flush=True)
            shown[arm] = note
