"""How far a training is, as its first worker notes it in the run folder whenever the trainer logs.

Written by `on_ray.training_progress`; read by it and by `status`, which has no cluster to ask.
"""

from __future__ import annotations

from typing import Any

from lema_ray.runs import RunFolder

NOTE = "progress.json"


def write_note(run: RunFolder, arm: str, note: dict[str, Any]) -> None:
    """`step`, `steps`, `loss` and `seconds` of an arm."""
    run.write_json(note, "checkpoints", arm, NOTE)


def read_note(run: RunFolder, arm: str) -> dict[str, Any] | None:
    """What was noted last; None before the first time."""
    return run.read_json("checkpoints", arm, NOTE) if run.exists("checkpoints", arm, NOTE) else None


def describe_note(arm: str, note: dict[str, Any]) -> str:
    """`training lema  120/400 steps  loss 0.431  35 s left`"""
    left = note["seconds"] / note["step"] * (note["steps"] - note["step"])
    return f"training {arm}  {note['step']}/{note['steps']} steps  loss {note['loss']:.3f}  {left:.0f} s left"
