"""What people decided about doubtful references: keep, fix or drop, by question id, as JSON lines.

Written by `lema review` into a run folder; `questions.reviewed` names such a file and `prepare` applies it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal, get_args

from lema_ray.questions.errors import QuestionError
from lema_ray.records import Dropped, Question

Choice = Literal["keep", "fix", "drop"]


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision. `reference` is the new reference of a `fix`, `was` the one that was looked at."""

    id: str
    choice: Choice
    was: str
    reference: str | None = None


def parse_decisions(lines: Iterable[str], where: str) -> dict[str, Decision]:
    """Decisions by question id, the last one of each. Raises `QuestionError` with the line that cannot be read."""
    found: dict[str, Decision] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            decision = Decision(**json.loads(line))
        except (ValueError, TypeError) as error:
            raise QuestionError(f"{where}:{number}: not a decision of `lema review`: {error}") from None
        if decision.choice not in get_args(Choice) or (decision.choice == "fix" and not decision.reference):
            raise QuestionError(f"{where}:{number}: a decision is keep, drop, or fix with a reference")
        found[decision.id] = decision
    return found


def read_decisions(path: str | None) -> dict[str, Decision]:
    """The decisions of a local file, none without a path."""
    if path is None:
        return {}
    try:
        return parse_decisions(Path(path).read_text(encoding="utf-8").splitlines(), path)
    except OSError as error:
        raise QuestionError(f"questions.reviewed: {path}: {error.strerror}") from None


def dump_decisions(decisions: Iterable[Decision]) -> str:
    """JSON lines that `parse_decisions` reads."""
    return "".join(json.dumps(asdict(decision), ensure_ascii=False) + "\n" for decision in decisions)


def decided(question: Question, where: str, decisions: dict[str, Decision]) -> Question | Dropped:
    """The question as it was decided about. A decision about another reference than it has now does not count."""
    decision = decisions.get(question.id)
    if decision is None or decision.was != question.reference:
        return question
    if decision.choice == "drop":
        return Dropped(
            "questions", where, "reviewed", f"dropped in review: the reference is {question.reference[:80]!r}"
        )
    return replace(question, reference=decision.reference or question.reference, reviewed=True)
