"""Rows to questions: which column is the question, the reference, the solution, the level, the choices.

`FieldMap` is made by `read` and `imported` from the config and the source's own field names.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from lema_ray.questions.errors import QuestionError
from lema_ray.questions.programs import program_question
from lema_ray.questions.readers import Row
from lema_ray.questions.references import Rule, reference_of, tidy_solution, without_letters
from lema_ray.records import Dropped, Question, Task, content_id

Candidates = Mapping[str, tuple[str, ...]]

USUAL: dict[str, tuple[str, ...]] = {
    "question": ("question.stem", "question", "problem", "prompt", "Body+Question", "sQuestion", "input"),
    "reference": ("reference", "answer", "final_answer", "answerKey", "Answer", "lSolutions", "target", "result"),
    "solution": ("solution", "rationale"),
    "level": ("level",),
    "type": ("type", "subject", "perturbation_type"),
    "choices": ("choices", "options", "candidates", "question.choices"),
    "id": (),
}
"""Columns that are looked for, in order. `a.b` is b inside a; `a+b` are sentences to be joined."""

USUAL_PROGRAMS: dict[str, tuple[str, ...]] = {
    **USUAL,
    "question": ("text", "prompt", "question", "problem"),
    "reference": ("test_list", "tests", "test", "reference"),
    "solution": ("code", "canonical_solution", "solution"),
    "called": ("entry_point",),
}
"""The same for programs (task `code`), as MBPP and HumanEval name them; `called` is the function's name."""

_MISSING = object()


class BadRow(Exception):
    """This row is no question; it becomes `Dropped`."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.reason, self.detail = reason, detail


class FieldMap:
    """Makes questions of rows. `named` are the columns that the config names; they win over `candidates`."""

    def __init__(
        self,
        named: Mapping[str, str],
        candidates: Candidates = USUAL,
        *,
        answer: Rule = "auto",
        task: Task | None = None,
        source: str | None = None,
        adjust: Callable[[str], str | None] | None = None,
        adjust_text: Callable[[str], str | None] | None = None,
    ) -> None:
        unknown = sorted(named.keys() - candidates.keys())
        if unknown:
            raise QuestionError(f"fields: unknown {', '.join(unknown)}; known are {', '.join(candidates)}")
        self._named, self._candidates = dict(named), candidates
        self._answer, self._task, self._source, self._adjust = answer, task, source, adjust
        self._adjust_text = adjust_text
        self.unseen = set(named)

    def question(self, row: Row) -> Question | Dropped:
        """The question in a row, or why there is none."""
        try:
            return self._question(row)
        except BadRow as bad:
            return Dropped("questions", self.where(row), bad.reason, bad.detail)
        except UnicodeEncodeError as error:
            return Dropped("questions", self.where(row), "bad_text", f"not valid Unicode: {error.reason}")

    def where(self, row: Row) -> str:
        """file:line, with the source's own id where the config names its column."""
        own = self.find(row, "id") if "id" in self._named else None
        return f"{row.where} ({own})" if own else row.where

    def identity(self, row: Row) -> tuple[str, tuple[str, ...] | None]:
        """The question's text and choices, which make its id. Raises `BadRow`."""
        text = self.required(row, "question", "no_text")
        text = (self._adjust_text(text) or text) if self._adjust_text else text
        value = self._value(row, "choices")
        return text, None if value in (_MISSING, None) else _choices(value)

    def find(self, row: Row, role: str) -> str | None:
        """The text of a role's column, None when there is none or it is empty."""
        value = self._value(row, role)
        return None if value is _MISSING else text_of(value)

    def lines(self, row: Row, role: str) -> str | None:
        """The same of a column that may be a list, with each of its items a line."""
        value = self._value(row, role)
        texts = [text_of(item) for item in (value if isinstance(value, list) else [self.find(row, role)])]
        return "\n".join(text for text in texts if text) or None

    def required(self, row: Row, role: str, empty: str) -> str:
        """The text of a role's column. Raises `BadRow`, with `empty` as its reason when there is no text in it."""
        value = self._value(row, role)
        if value is _MISSING:
            wanted = self._named.get(role) or " or ".join(self._candidates[role])
            raise BadRow(
                "missing_field", f"no field {wanted} for the {role}; there are: {', '.join(map(str, row.data))}"
            )
        text = text_of(value)
        if text is None:
            raise BadRow(empty, f"the {role} is empty")
        return text

    def _value(self, row: Row, role: str) -> Any:
        names = (self._named[role],) if role in self._named else self._candidates[role]
        value = next((v for v in (_lookup(row.data, name) for name in names) if v is not _MISSING), _MISSING)
        if value is not _MISSING:
            self.unseen.discard(role)
        return value

    def _question(self, row: Row) -> Question:
        if self._task == "code":
            return self._program(row)
        text, choices = self.identity(row)
        solution = self.find(row, "solution")
        raw = self._raw_reference(row, solution)
        reference = reference_of(raw, self._answer, choices)
        if reference is None:
            raise BadRow("no_reference", f"answer rule {self._answer!r} finds nothing in {raw[-80:]!r}")
        if solution is None and _has_final_answer(raw) and len(raw) > len(reference) + 20:
            solution = raw
        return Question(
            id=question_id(text, choices),
            text=text,
            reference=self._adjusted(reference),
            source=self._source or PurePosixPath(row.where.rpartition(":")[0]).name,
            task=self._task or ("choice" if choices else "arithmetic"),
            solution=tidy_solution(solution) if solution else None,
            level=self.find(row, "level"),
            choices=choices,
            type=self.find(row, "type"),
        )

    def _program(self, row: Row) -> Question:
        tests = self._value(row, "reference")
        if tests is _MISSING or not tests:
            self.required(row, "reference", "no_reference")
        asked, written = self.required(row, "question", "no_text"), self._value(row, "solution")
        solution = written if isinstance(written, str) and written.strip() else None  # its first line may be indented
        text, reference, solution = program_question(asked, tests, solution, self.find(row, "called"))
        if reference is None:
            raise BadRow("no_tests", f"no assert that calls a function in {str(tests)[:80]!r}")
        source = self._source or PurePosixPath(row.where.rpartition(":")[0]).name
        level, kind = self.find(row, "level"), self.find(row, "type")
        return Question(question_id(text, None), text, reference, source, "code", solution, level, type=kind)

    def _raw_reference(self, row: Row, solution: str | None) -> str:
        """The text that holds the reference: its own column or, as MATH is published, the end of the solution."""
        own_column = "reference" in self._named or self._value(row, "reference") is not _MISSING
        if solution and _has_final_answer(solution) and not own_column:
            return solution
        return self.required(row, "reference", "no_reference")

    def _adjusted(self, reference: str) -> str:
        adjusted = self._adjust(reference) if self._adjust else reference
        if adjusted is None:
            raise BadRow("left_out", f"{self._source} has no questions with an answer like {reference[:80]!r}")
        return adjusted


def _has_final_answer(text: str) -> bool:
    return "####" in text or "\\boxed" in text


def question_id(text: str, choices: Sequence[str] | None) -> str:
    """The id of a question: its text, whatever its white space, and its choices."""
    return content_id(" ".join(text.split()), *(choices or ()))


def text_of(value: Any) -> str | None:
    """A column's value as text; None for null, NaN, blanks and objects. Raises `UnicodeEncodeError`."""
    if isinstance(value, list | tuple):
        return ", ".join(t for t in map(text_of, value) if t) or None
    if isinstance(value, float):
        value = None if math.isnan(value) else int(value) if value.is_integer() else value
    if value is None or isinstance(value, dict):
        return None
    text = str(value).strip()
    text.encode()
    return text or None


def _lookup(data: Any, name: str) -> Any:
    if isinstance(data, dict) and name in data:
        return data[name]
    if "+" in name:
        parts = [_lookup(data, part) for part in name.split("+")]
        return _MISSING if _MISSING in parts else _joined([t for t in map(text_of, parts) if t])
    head, dot, tail = name.partition(".")
    return _lookup(data[head], tail) if dot and isinstance(data, dict) and head in data else _MISSING


def _joined(parts: Sequence[str]) -> str:
    *before, last = parts or [""]
    return " ".join([*(p if p.endswith((".", "?", "!", ",", ":", ";")) else f"{p}." for p in before), last])


def _choices(value: Any) -> tuple[str, ...]:
    """The choices' texts from a list, from objects with `text`, or from `{"label": [...], "text": [...]}`."""
    items = value.get("text") if isinstance(value, dict) else value
    if not isinstance(items, list):
        raise BadRow("bad_choices", f"expected a list of choices, found {str(value)[:80]!r}")
    texts = [text_of(item.get("text") if isinstance(item, dict) else item) for item in items]
    if len(texts) < 2 or len(texts) > 26 or None in texts:
        raise BadRow("bad_choices", f"expected 2 to 26 texts, found {str(value)[:80]!r}")
    return without_letters([text for text in texts if text])
