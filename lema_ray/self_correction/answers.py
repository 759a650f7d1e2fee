"""The first and the last answer of a text that may doubt itself. Called by `measures` and by the policies."""

from __future__ import annotations

from collections.abc import Sequence

from lema_ray.grading import extract_answer
from lema_ray.records import Doubt, Question

STATED = ("answer_is", "boxed", "hashes", "answer_tag", "answer_field", "answer_line")
"""Extraction rules for an answer that a text states, and does not merely end with."""


def answer_of(text: str, question: Question) -> str | None:
    """The answer that a text ends in."""
    return extract_answer(text, question.task, question.choices).answer


def first_answer(text: str, doubts: Sequence[Doubt], question: Question) -> str | None:
    """What a text states before its first doubt, None when it states nothing; its only answer without a doubt."""
    if not doubts:
        return answer_of(text, question)
    before = extract_answer(text[: doubts[0].start], question.task, question.choices)
    return before.answer if before.rule in STATED else None


def tokens_after(doubts: Sequence[Doubt], text: str, tokens: int) -> int:
    """The share of a text's tokens that follows its first doubt."""
    return round(tokens * (len(text) - doubts[0].start) / max(len(text), 1)) if doubts else 0
