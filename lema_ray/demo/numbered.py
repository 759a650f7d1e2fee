"""Numbered steps of a prompt as their texts. Used by the annotated teacher."""

from __future__ import annotations

import re

_STEP = re.compile(r"Step (\d+): ?(.*)")


def read_steps(numbered: str) -> list[str]:
    """The texts of `Step 1: ...`, `Step 2: ...` in order; any other line belongs to the step before."""
    steps: list[str] = []
    for line in numbered.strip().splitlines():
        label = _STEP.match(line)
        if label and int(label[1]) == len(steps) + 1:
            steps.append(label[2])
        elif steps:
            steps[-1] += f"\n{line}"
    return steps
