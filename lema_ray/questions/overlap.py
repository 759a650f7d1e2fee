"""Is a training question in the test set? By id, and by its text whatever its case, quotes and stops.

Called by `prepare` and `imported`.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import replace
from typing import Literal

from lema_ray.questions.errors import QuestionError
from lema_ray.questions.store import scratch
from lema_ray.records import Question, content_id

Overlap = Literal["refuse", "drop", "allow"]

_QUOTES = str.maketrans({"‘": "'", "’": "'", "“": None, "”": None, '"': None, "«": None, "»": None})
# A stop before a digit is a decimal point or a ratio; operators and brackets tell questions of mathematics apart.
_STOPS = re.compile(r"[.,:;?!…](?!\d)")


def loose_id(question: Question) -> str:
    """The id of a question's text and choices without case, quotation marks and sentence stops."""
    return content_id(*(_loose(text) for text in (question.text, *(question.choices or ()))))


def _loose(text: str) -> str:
    folded = unicodedata.normalize("NFKC", text.translate(_QUOTES)).casefold()
    return " ".join(_STOPS.sub(" ", folded).split())


class TestSet:
    """The questions that must not be learnt from, and the training questions that turned out to be among them."""

    __test__ = False

    def __init__(self) -> None:
        self._database = scratch()
        self._database.execute("CREATE TABLE keys (key BLOB PRIMARY KEY) WITHOUT ROWID")
        self._examples: list[str] = []
        self.overlapping = 0

    def add(self, question: Question) -> None:
        """Note one question of the test set, and what is asked before it."""
        before = (replace(question, text=turn.asked, choices=None) for turn in question.earlier)
        keys = ((bytes.fromhex(key),) for key in (question.id, *map(loose_id, (question, *before))))
        self._database.executemany("INSERT OR IGNORE INTO keys VALUES (?)", keys)

    def has(self, question: Question, where: str) -> bool:
        """Whether a training question is in the test set; if so it is counted."""
        keys = [bytes.fromhex(key) for key in (question.id, loose_id(question))]
        found = self._database.execute("SELECT 1 FROM keys WHERE key IN (?, ?)", keys).fetchone() is not None
        self.overlapping += found
        if found and len(self._examples) < 3:
            self._examples.append(f"{where}: {question.text[:100]!r}")
        return found

    def check(self, overlap: Overlap) -> None:
        """Raises `QuestionError` when there is overlap and the config does not say what to do about it."""
        if self.overlapping and overlap == "refuse":
            listed = "\n  ".join(self._examples)
            raise QuestionError(
                f"{self.overlapping} training questions are in the test set, which would measure memory:\n  {listed}\n"
                "Take other questions, or set questions.overlap: drop (leaves them out of training) or allow."
            )
