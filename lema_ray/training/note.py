"""How far a training is, as its first worker notes it in the run folder whenever the trainer logs.

Written by `on_ray.training_progress`; read by it and by `status`, which has no cluster to ask.
"""

from __future__ import annotations

from typing import Any

from lema_ray.runs import RunFolder

NOTE = "progress.json"
MEASURED = ("loss", "learning_rate", "grad_norm", "learned_tokens_per_second", "memory_gb", "mfu")
"""What of the trainer's log goes into the note, and as `lema_training_<name>` to Prometheus."""


def write_note(run: RunFolder, arm: str, note: dict[str, Any]) -> None:
    """`step`, `steps`, `seconds_left`, and what of `MEASURED` was logged."""
    run.write_json(note, "checkpoints", arm, NOTE)


def read_note(run: RunFolder, arm: str) -> dict[str, Any] | None:
    """What was noted last; None before the first time."""
    return run.read_json("checkpoints", arm, NOTE) if run.exists("checkpoints", arm, NOTE) else None


def describe_note(arm: str, note: dict[str, Any]) -> str:
    """`training lema  120/400 steps  loss 0.431  2,100 learned tokens/s  35 s left`"""
    pace = f"{note['learned_tokens_per_second']:,.0f} learned tokens/s" if "learned_tokens_per_second" in note else ""
    steps, left = f"{note['step']}/{note['steps']} steps", f"{note['seconds_left']:.0f} s left"
    return "  ".join((f"training {arm}", *filter(None, (steps, f"loss {note['loss']:.3f}", pace, left))))
