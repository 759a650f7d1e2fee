"""What became of the rows of a source, for the manifest and the report. Made by `prepare` and `grouping`."""

from __future__ import annotations

from dataclasses import dataclass, field

from lema_ray.records import Question, content_id

MAX_LEVELS = 100


@dataclass(slots=True)
class SplitReport:
    """One source: `rows` read = `questions` kept + `duplicates` merged + rows dropped, which are counted by reason.

    `conflicting` are those duplicates whose reference differs from the first's. `levels` counts questions by level.
    `fingerprint` identifies the questions kept, and their order.
    """

    rows: int = 0
    questions: int = 0
    duplicates: int = 0
    conflicting: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    levels: dict[str, int] = field(default_factory=dict)
    fingerprint: str = ""

    def drop(self, reason: str) -> None:
        """Count a row that is left out."""
        self.dropped[reason] = self.dropped.get(reason, 0) + 1

    def keep(self, question: Question) -> None:
        """Count a question that is kept. Beyond `MAX_LEVELS` levels the rest are "other"."""
        self.questions += 1
        self.fingerprint = content_id(self.fingerprint, question.id)
        if question.level is not None:
            known = question.level in self.levels or len(self.levels) < MAX_LEVELS
            level = question.level if known else "other"
            self.levels[level] = self.levels.get(level, 0) + 1
