"""Solutions whose first wrong step somebody has labelled: what a corrector is measured on. Read by `score_corrector`.

One JSON object a line: `problem`, `steps` (texts in order), `label` (0-based index of the first wrong step, -1 when all
are right), and where known `id`, `source`, `reference`, `reference_solution`, `error_type` (any name of the taxonomy).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lema_ray.config import ConfigError
from lema_ray.records import Question, Task, content_id


@dataclass(frozen=True, slots=True)
class Labelled:
    """A solution and its label: `wrong_step` None when every step is right, `error_type` None when nobody said."""

    id: str
    question: Question
    steps: tuple[str, ...]
    wrong_step: int | None
    error_type: str | None = None


def read_labelled(path: Path) -> Iterator[Labelled]:
    """The rows of a file. Raises `ConfigError` with the line of the first one that is not as described above."""
    if not path.is_file():
        raise ConfigError(f"{path}: no such file")
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                yield _labelled(line, path.stem, f"{path}: line {number}")


def _labelled(line: str, stem: str, where: str) -> Labelled:
    try:
        row: dict[str, Any] = json.loads(line)
        problem, steps, label = row["problem"], tuple(row["steps"]), row["label"]
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{where}: expected an object with problem, steps and label: {error!r}") from None
    texts = (problem, *steps)
    if not all(isinstance(t, str) for t in texts) or not isinstance(label, int) or not -1 <= label < len(steps):
        raise ConfigError(f"{where}: steps is a list of texts and label one of their indices from 0, or -1")
    row_id, source = str(row.get("id") or content_id(*texts)), str(row.get("source") or stem)
    task: Task = "math" if any(mark in text for text in texts for mark in ("\\", "$$")) else "arithmetic"
    reference, solution = str(row.get("reference") or ""), row.get("reference_solution")
    question = Question(content_id(problem), problem, reference, source, task, solution)
    return Labelled(row_id, question, steps, label if label >= 0 else None, row.get("error_type"))
