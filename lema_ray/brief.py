"""What a finished stage came to, in one line: printed by `on_ray.flow` when a stage ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def brief(stage: str, counts: dict[str, Any]) -> str:
    """The counts of a stage's note in the manifest that a reader wants first; `done` where there are none."""
    return _LINES.get(stage, _plain)(counts) or "done"


def _questions(counts: dict[str, Any]) -> str:
    # A trial of mixes has questions to be examined on and no others (`examples.variants`).
    train, test = ((counts.get(split) or {}).get("questions", 0) for split in ("train", "test"))
    found = {"to collect with": train, "held out": test}
    found |= {"attempts at them": counts.get("attempts", 0), "in both sets": counts.get("overlapping", 0)}
    return ", ".join(f"{number:,} {what}" for what, number in found.items() if number)


def _build(counts: dict[str, Any]) -> str:
    arms = {arm: splits["train"]["rows"] for arm, splits in counts.get("arms", {}).items() if "train" in splits}
    return "rows to train on: " + ", ".join(f"{arm} {rows:,}" for arm, rows in arms.items()) if arms else ""


def _train(counts: dict[str, Any]) -> str:
    arms = counts.get("arms", {}).items()
    return "; ".join(
        f"{arm} {told['steps']:,} steps over {told['examples']:,} rows, final loss {told['final_loss']:.3f}"
        for arm, told in arms
    )


def _evaluate(counts: dict[str, Any]) -> str:
    rates = counts.get("pass_at_1", {})
    return "right answers: " + ", ".join(f"{name} {rate:.1%}" for name, rate in rates.items()) if rates else ""


def _plain(counts: dict[str, Any]) -> str:
    plain = {k: v for k, v in counts.items() if isinstance(v, int | float) and v and k != "seconds"}
    return ", ".join(f"{v:,} {k.replace('_', ' ')}" for k, v in plain.items())


_LINES: dict[str, Callable[[dict[str, Any]], str]] = {
    "questions": _questions,
    "build": _build,
    "train": _train,
    "evaluate": _evaluate,
}
