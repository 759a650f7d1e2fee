"""Questions that are asked in a conversation, from files: follow-up questions, and wrong answers to be put right.

Both kinds are MathChat's (arXiv 2405.19444), which LEMMA is examined on; the words between the turns are ours. Called
by `read`, for `questions.test` only: a row of training is a question without a conversation before it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import count, takewhile

from lema_ray.grading import grade
from lema_ray.questions.fields import USUAL, FieldMap
from lema_ray.questions.readers import Row
from lema_ray.records import Dropped, Question, Turn, content_id

CONVERSATIONS = ("follow_ups", "error_correction")
AGAIN = "This answer is wrong. Look for the mistake, and solve the question again from the beginning."
WITH_ATTEMPT = {
    **USUAL,
    "attempt": ("attempt", "wrong_solution", "model_solution", "steps"),
    "type": ("error_type", *USUAL["type"]),
}
"""Columns of `error_correction`: those of questions, and labelled solutions as `lema score-corrector` reads them."""


def follow_up_questions(row: Row, fields: FieldMap) -> Iterator[tuple[str, Question | Dropped]]:
    """A question for each round of `Q1, A1, Q2, A2, ...`, its level the round; the model answers the rest itself."""
    asked = list(takewhile(lambda text: text, (str(row.data.get(f"Q{n}") or "").strip() for n in count(1))))
    if not asked:
        detail = f"no field Q1; there are: {', '.join(map(str, row.data))}"
        yield row.where, Dropped("questions", row.where, "missing_field", detail)
    for n, text in enumerate(asked, 1):
        where = f"{row.where} round {n}"
        found = fields.question(
            Row(where, {"question": text, "reference": row.data.get(f"A{n}"), "level": f"round {n}"})
        )
        if isinstance(found, Question) and n > 1:
            found = _after(found, tuple(map(Turn, asked[: n - 1])))
        yield where, found


def error_correction(row: Row, fields: FieldMap) -> Question | Dropped:
    """The question of a row again, after a wrong attempt at it and the word that it is wrong."""
    found, attempt = fields.question(row), fields.lines(row, "attempt")
    if isinstance(found, Dropped):
        return found
    if attempt is None:
        return _no(row, fields, "no_attempt", "error_correction needs a wrong solution to each question")
    if found.choices:
        return _no(row, fields, "has_choices", "error_correction takes questions without choices")
    if grade(attempt, found.reference, task=found.task).verdict == "right":
        return _no(row, fields, "attempt_is_right", "its answer is the reference")
    return _after(replace(found, text=AGAIN), (Turn(found.text, attempt),))


def _no(row: Row, fields: FieldMap, reason: str, detail: str) -> Dropped:
    return Dropped("questions", fields.where(row), reason, detail)


def _after(question: Question, earlier: tuple[Turn, ...]) -> Question:
    said = (text for turn in earlier for text in (turn.asked, turn.answered or ""))
    own = content_id(*(" ".join(text.split()) for text in (*said, question.text)))
    return replace(question, id=own, earlier=earlier)
