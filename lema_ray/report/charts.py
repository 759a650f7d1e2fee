"""Where things lie in the report's charts, in percent of the plot; the template draws them with CSS and SVG.

Used by `report`. Drawn this way they follow the reader's colours and width, which a finished picture would not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_MOST_POINTS = 400


@dataclass(frozen=True, slots=True)
class Axis:
    """A linear axis with round ticks."""

    low: float
    high: float
    ticks: tuple[float, ...]

    def at(self, value: float) -> float:
        """Where a value lies, in percent of the axis."""
        return round(100 * (min(max(value, self.low), self.high) - self.low) / (self.high - self.low), 3)


def interval_axis(
    lows: Sequence[float], highs: Sequence[float], floor: float = -math.inf, ceiling: float = math.inf
) -> Axis:
    """An axis that holds all the intervals, widened to round ticks but not beyond floor and ceiling."""
    low, high = min(lows, default=0.0), max(highs, default=1.0)
    step = _round_step(high - low if high - low > 1e-6 else 0.1)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    if first == last:
        first, last = (first - 1, last) if (last + 1) * step > ceiling + 1e-9 else (first, last + 1)
    ticks = tuple(round(i * step, 10) for i in range(first, last + 1) if floor <= round(i * step, 10) <= ceiling)
    return Axis(ticks[0], ticks[-1], ticks)


def _round_step(width: float) -> float:
    """The 1, 2 or 5 times a power of ten that cuts the width into four to ten pieces."""
    power = 10.0 ** math.floor(math.log10(width / 4))
    return max(factor * power for factor in (1, 2, 5) if factor * power <= width / 4 + 1e-12)


@dataclass(frozen=True, slots=True)
class Line:
    """One curve: SVG points in a 100 x 100 box, y downwards."""

    arm: str
    kind: str
    points: str
    last: float


@dataclass(frozen=True, slots=True)
class LossChart:
    """All loss curves of a run on one pair of axes."""

    steps: Axis
    loss: Axis
    lines: tuple[Line, ...]


def loss_chart(losses: Mapping[str, Sequence[Mapping[str, float]]]) -> LossChart | None:
    """Training and evaluation loss by step for each arm; None when nothing finite was recorded."""
    curves = {
        (arm, kind): found
        for arm, rows in losses.items()
        for kind in ("loss", "eval_loss")
        if (found := [(row["step"], row[kind]) for row in rows if _known(row.get(kind))])
    }
    every = [point for found in curves.values() for point in found]
    if not every:
        return None
    steps = interval_axis([0.0], [max(step for step, _ in every)])
    loss = interval_axis([0.0], [max(value for _, value in every)])
    return LossChart(steps, loss, tuple(_line(arm, kind, found, steps, loss) for (arm, kind), found in curves.items()))


def _known(value: float | None) -> bool:
    """Most steps have no evaluation loss, and a diverged one is no number."""
    return value is not None and math.isfinite(value)


def _line(arm: str, kind: str, found: Sequence[tuple[float, float]], steps: Axis, loss: Axis) -> Line:
    thinned = [*found[:: math.ceil(len(found) / _MOST_POINTS)], found[-1]]
    points = " ".join(f"{steps.at(step)},{round(100 - loss.at(value), 3)}" for step, value in thinned)
    return Line(arm, kind, points, found[-1][1])
