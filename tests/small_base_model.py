"""The demo's base model in little: made by the same training in a twentieth of its time, and it ends its answers."""

from __future__ import annotations

import contextlib
import io
import re
from dataclasses import dataclass
from pathlib import Path

from lema_ray.demo.base_model import BaseModelSettings, train_base_model

SMALL = BaseModelSettings(
    problems=800, drills=100, checks=100, steps=150, batch=16, hidden=64, layers=2, heads=2, feed_forward=128, threads=1
)


@dataclass(frozen=True, slots=True)
class SmallBaseModel:
    """Where it is, and the losses that its training printed."""

    folder: Path
    losses: tuple[float, ...]


def train_small_base_model(folder: Path) -> SmallBaseModel:
    """Train it for real; 15 seconds of one core."""
    with contextlib.redirect_stdout(io.StringIO()) as said:
        train_base_model(SMALL, folder)
    return SmallBaseModel(folder, tuple(float(loss) for loss in re.findall(r"loss ([\d.]+)", said.getvalue())))
