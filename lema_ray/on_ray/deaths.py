"""Engines whose process dies before any row is done, again and again: the run ends with their last words.

Ray starts a dead actor again and gives it its rows again, for ever. `on_ray.pools` asks here before it opens an engine.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

MOST_DEATHS = 5
"""Processes of one actor that may die in a row without having finished a row."""
LAST_WORDS = 2000
"""Characters of a dead process's log that are shown."""


@dataclass(slots=True)
class Deaths:
    """Per actor, the logs of its processes since the last that finished a row. Part of the progress actor."""

    _logs: dict[str, list[str]] = field(default_factory=dict)

    def began(self, actor: str, log: str) -> str | None:
        """A process of an actor begins; the log of the one before it when too many have died, else None."""
        logs = self._logs.setdefault(actor, [])
        logs.append(log)
        return logs[-2] if len(logs) > MOST_DEATHS else None

    def worked(self, actor: str) -> None:
        """It finished a row: what died before is forgotten."""
        self._logs.pop(actor, None)


def own_log() -> str:
    """Where this process writes its errors, "" where that is no file."""
    try:
        path = os.readlink("/proc/self/fd/2")
    except OSError:
        return ""
    return path if path.startswith("/") and Path(path).is_file() else ""


def last_words(log: str) -> str:
    """The end of a dead process's log, if it lies on this machine."""
    try:
        with Path(log).open("rb") as file:
            file.seek(max(0, Path(log).stat().st_size - LAST_WORDS))
            words = file.read().decode(errors="replace").strip()
    except OSError:
        words = ""
    return words or "it left no words; a process that is killed for its memory leaves none (see dmesg)"
