"""Attempts that exist already, streamed from a file with a question and a solution in each row.

Called by `grouping`, which puts each question's attempts together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from lema_ray.config import ImportConfig
from lema_ray.questions.errors import QuestionError
from lema_ray.questions.fields import USUAL, BadRow, FieldMap, question_id
from lema_ray.questions.files import find_files
from lema_ray.questions.readers import Row, read_rows
from lema_ray.records import Attempt, Dropped, Question, content_id

COLUMNS = ("question", "solution", "reference", "model")
ATTEMPT = {"attempt": ("solution", "attempt", "response", "completion", "output"), "model": ("model", "generator")}

Known = Callable[[str], Question | None]
Tell = Callable[[Dropped], None]


def read_attempts(
    config: ImportConfig, known: Known = lambda id: None, tell: Tell = lambda dropped: None
) -> Iterator[tuple[Question, Attempt]]:
    """Each row's question and attempt, streamed. Rows that lack something are told as `Dropped`.

    A question that is `known` by its id is taken from there, and its row needs no reference. Raises `QuestionError`
    when the file is not there or malformed, or has no attempt at all.
    """
    fields, first = _field_map(config), list[Dropped]()
    found = False
    for file in find_files(config.path):
        for row in read_rows(file):
            item = _attempt(row, fields, known)
            if isinstance(item, Dropped):
                first = first or [item]
                tell(item)
            else:
                found = True
                yield item
    if not found:
        why = f"; {first[0].id}: {first[0].reason}: {first[0].detail}" if first else ": the file is empty"
        raise QuestionError(f"{config.path}: no attempts in it{why}")


def _field_map(config: ImportConfig) -> FieldMap:
    unknown = sorted(config.fields.keys() - set(COLUMNS))
    if unknown:
        raise QuestionError(f"import_attempts.fields: unknown {', '.join(unknown)}; known are {', '.join(COLUMNS)}")
    named = {"attempt" if role == "solution" else role: column for role, column in config.fields.items()}
    return FieldMap(named, {**USUAL, **ATTEMPT, "solution": ()})


def _attempt(row: Row, fields: FieldMap, known: Known) -> tuple[Question, Attempt] | Dropped:
    try:
        question = known(question_id(*fields.identity(row))) or fields.question(row)
        text = fields.required(row, "attempt", "no_solution")
        model = fields.find(row, "model") or "imported"
    except BadRow as bad:
        return Dropped("questions", row.where, bad.reason, bad.detail)
    except UnicodeEncodeError as error:
        return Dropped("questions", row.where, "bad_text", f"not valid Unicode: {error.reason}")
    if isinstance(question, Dropped):
        return question
    attempt_id = f"{question.id}/{content_id(model, text)}"
    return question, Attempt(attempt_id, text, model, origin="imported", finish_reason="imported")
