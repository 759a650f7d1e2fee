"""Steps in a corrector's reply: read off their labels, and written again as the attempt writes its own.

Used by the `lema` and `lemma` recipes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

STEP_LABEL = re.compile(r"(?i)^\s*\**\s*step\s+(\d+)\s*[:.)]\**\s*")


def labelled_steps(text: str, first: int) -> list[tuple[int, str]]:
    """(step number, text without its label) of each step; lines without a label belong to the step before.

    Where no line has a label, each line is a step and they count on from `first`.
    """
    found: list[tuple[int, str]] = []
    any_label = any(STEP_LABEL.match(line) for line in text.splitlines())
    for line in text.splitlines():
        label = STEP_LABEL.match(line)
        if label:
            found.append((int(label.group(1)), line[label.end() :].strip()))
        elif line.strip() in ("", "...", "…", "{", "}"):
            continue
        elif any_label and found and not line.strip().casefold().startswith("the answer is"):
            found[-1] = (found[-1][0], f"{found[-1][1]}\n{line.strip()}")
        else:
            found.append((found[-1][0] + 1 if found else first, line.strip()))
    return found


def written_as(steps: Sequence[str], texts: Sequence[str], first: int) -> str:
    """Step texts as lines, counted from `first`, with labels if the attempt's steps have them."""
    labelled = any(STEP_LABEL.match(step) for step in steps)
    return "\n".join(
        f"Step {first + i}: {text}" if labelled and not text.casefold().startswith("the answer is") else text
        for i, text in enumerate(texts)
    )
