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

from lema_ray.on_ray.progress import displayed
from lema_ray.runs import RunFolder

NOTE = "progress.json"
MEASURED = ("loss", "learning_rate", "grad_norm", "learned_tokens_per_second", "memory_gb", "mfu")
"""What of a log goes into the note and, as `lema_training_<name>` by arm, to Ray's Prometheus endpoint."""


def progress_callback(run: RunFolder, arm: str) -> Any:
    """A transformers callback that notes step, loss and pace whenever the trainer logs, and tells Ray's metrics."""
    from ray.util.metrics import Gauge
    from transformers import TrainerCallback

    gauges = {name: Gauge(f"lema_training_{name}", f"{name} of the last log", ("arm",)) for name in MEASURED}

    class Note(TrainerCallback):  # type: ignore[misc]
        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            self.begun, self.start = state.global_step, time.monotonic()

        def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any], **kwargs: Any) -> None:
            if "loss" not in logs or not state.is_world_process_zero:
                return
            pace = (time.monotonic() - self.start) / max(state.global_step - self.begun, 1)
            left = pace * (state.max_steps - state.global_step)
            note = {"step": state.global_step, "steps": state.max_steps, "seconds_left": round(left, 1)}
            measured = {name: logs[name] for name in MEASURED if name in logs}
            run.write_json(note | measured, "checkpoints", arm, NOTE)
            for name, value in measured.items():
                gauges[name].set(float(value), {"arm": arm})

    return Note()


@contextmanager
def followed(run: RunFolder, arms: Sequence[str], every_s: float = 5.0) -> Iterator[None]:
    """Print each arm's progress to stderr while the body runs."""
    with displayed(_follow, run, arms, every_s):
        yield


def _follow(run: RunFolder, arms: Sequence[str], every_s: float, done: threading.Event) -> None:
    shown: dict[str, Any] = {arm: _note(run, arm) for arm in arms}
    while not done.wait(every_s):
        for arm in arms:
            note = _note(run, arm)
            if note and note != shown[arm]:
                print(line(arm, note), file=sys.stderr, flush=True)
            shown[arm] = note


def _note(run: RunFolder, arm: str) -> dict[str, Any] | None:
    return run.read_json("checkpoints", arm, NOTE) if run.exists("checkpoints", arm, NOTE) else None


def line(arm: str, note: dict[str, Any]) -> str:
    """`training lema  120/400 steps  loss 0.431  2,100 learned tokens/s  35 s left`"""
    pace = f"{note['learned_tokens_per_second']:,.0f} learned tokens/s" if "learned_tokens_per_second" in note else ""
    parts = (
        f"{note['step']}/{note['steps']} steps",
        f"loss {note['loss']:.3f}",
        pace,
        f"{note['seconds_left']:.0f} s left",
    )
    return "  ".join((f"training {arm}", *filter(None, parts)))
