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


def progress_callback(run: RunFolder, arm: str) -> Any:
    """A transformers callback that notes step, loss and pace whenever the trainer logs."""
    from transformers import TrainerCallback

    start = time.monotonic()

    class Note(TrainerCallback):  # type: ignore[misc]
        def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any], **kwargs: Any) -> None:
            if "loss" in logs and state.is_world_process_zero:
                seconds = time.monotonic() - start
                note = {"step": state.global_step, "steps": state.max_steps, "loss": logs["loss"], "seconds": seconds}
                run.write_json(note, "checkpoints", arm, NOTE)

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
    """`training lema  120/400 steps  loss 0.431  35 s left`"""
    left = note["seconds"] / note["step"] * (note["steps"] - note["step"])
    return f"training {arm}  {note['step']}/{note['steps']} steps  loss {note['loss']:.3f}  {left:.0f} s left"
