"""How a training is going: its first worker notes it in the run folder, and the driver prints what is new.

The note is a file and not an actor's state, so that it is there after a kill, `lema status` finds it, and nothing is
asked of workers that are in a collective. Called by `on_ray.trainer` and `on_ray.training_worker`.
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
from lema_ray.training.note import MEASURED, describe_note, read_note, write_note


def progress_callback(run: RunFolder, arm: str) -> Any:
    """A transformers callback that notes step, loss and pace whenever the trainer logs, and tells Ray's metrics."""
    from transformers import TrainerCallback

    class Note(TrainerCallback):  # type: ignore[misc]
        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            self.begun, self.start = state.global_step, time.monotonic()

        def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any], **kwargs: Any) -> None:
            if "loss" not in logs or not state.is_world_process_zero:
                return
            pace = (time.monotonic() - self.start) / max(state.global_step - self.begun, 1)
            left = pace * (state.max_steps - state.global_step)
            steps = {"step": state.global_step, "steps": state.max_steps}
            measured = {name: float(logs[name]) for name in MEASURED if name in logs}
            write_note(run, arm, steps | measured | {"seconds_left": round(left, 1)})
            for name, value in (steps | measured).items():
                metrics.put(f"lema_training_{name}", value, arm=arm)

    return Note()


@contextmanager
def followed(run: RunFolder, arms: Sequence[str], every_s: float = 2.0) -> Iterator[None]:
    """Print what the first worker notes while the body runs."""
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
