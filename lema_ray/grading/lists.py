"""Lists, sets, tuples, intervals and matrices whose members are plain values or words: compared member by member.

Called by `compare`. Order matters in tuples and intervals and not in sets and comma lists; what has members that are no
plain values is left to `symbolic`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from lema_ray.grading.evaluate import Value, constant, same_value
from lema_ray.grading.numbers import Number, read_number, same_number
from lema_ray.grading.spelling import value_side
from lema_ray.records import Verdict

Shape = Literal["list", "set", "ordered"]
MAX_MEMBERS = 60
_SEPARATOR = re.compile(r"\s*(?:,|;)\s*(?:(?:and|or)\b\s*)?|\s+(?:and|or)\s+", re.I)
_THOUSANDS = re.compile(r"\s*\$?-?\d{1,3}(?:,\d{3})+(?=\s+(?:and|or)\b|[,;]\s|\s*$)")
_SPACED = re.compile(r"[,;]\s|\s(?:and|or)\s")
_MATRIX = re.compile(
    r"\(?\s*\\begin\{(?:[pbvB]?matrix|small\w?matrix|array)\}(?:\{[lcr| ]*\})?(.*)\\end\{\w+\}\s*\)?", re.S
)
_NAME = re.compile(r"\s*([A-Za-z])(?:_\{?\w+\}?)?\s*=")
_INFINITE = re.compile(r"([-+]?)\s*\\infty")
_WORD = re.compile(r"[^\W\d_]{2,}(?:[ '-][^\W\d_]+)*")


@dataclass(frozen=True, slots=True)
class Listed:
    """The members of a list and how it was written: `opening` and `closing` are its brackets, if it has any."""

    members: tuple[str, ...]
    opening: str = ""
    closing: str = ""

    @property
    def shape(self) -> Shape:
        """Whether order counts."""
        return "list" if not self.opening else "set" if self.opening == "{" else "ordered"


def read_list(text: str) -> Listed | None:
    """The top-level members of a text with two or more, or of a set; None when it is a single thing."""
    text = text.strip()
    inner, opening, closing = _brackets(text)
    members = _split(inner)
    if members is None or (len(members) < 2 and opening != "{"):
        return None
    return Listed(tuple(members), opening, closing)


def _brackets(text: str) -> tuple[str, str, str]:
    start, end = (text[:2], text[-2:]) if text.startswith("\\{") else (text[:1], text[-1:])
    if (start, end) == ("\\{", "\\}"):
        return text[2:-2], "{", "}"
    if len(text) > 2 and start in "([" and end in ")]" and _closes_at_end(text):
        return text[1:-1], start, end
    return text, "", ""


def _closes_at_end(text: str) -> bool:
    depth = 0
    for at, char in enumerate(text):
        depth += (char in "([{") - (char in ")]}")
        if depth <= 0:
            return at == len(text) - 1
    return False


def _split(text: str) -> list[str] | None:
    """Split at commas, semicolons, "and" and "or" outside brackets; thousands stay together."""
    members, start, position = [], 0, 0
    semicolons = ";" in text
    while position < len(text):
        if text[position] in "([{":
            position = _after(text, position)
            continue
        separator = _SEPARATOR.match(text, position)
        if separator is None or (separator[0] == "," and (semicolons or _is_thousands(text, start, position))):
            position += 1
            continue
        members.append(text[start:position].strip())
        start = position = separator.end()
        if len(members) > MAX_MEMBERS:
            return None
    members.append(text[start:].strip())
    return members if all(members) else None


def _after(text: str, position: int) -> int:
    depth = 0
    for at in range(position, len(text)):
        depth += (text[at] in "([{") - (text[at] in ")]}")
        if depth == 0:
            return at + 1
    return len(text)


def _is_thousands(text: str, start: int, comma: int) -> bool:
    """Whether a comma groups digits: `10,000 and 20`, `1,000, 2,000`; never in `1,2,3` or `100,200,300`."""
    group = _THOUSANDS.match(text, start)
    return group is not None and comma < group.end() and _SPACED.search(text) is not None


Member = Number | Value | str


def _values(listed: Listed) -> tuple[Member, ...] | None:
    """The members as exact values: numbers, infinities, words; None when one of them is something else."""
    names = {match[1] for member in listed.members if (match := _NAME.match(member))}
    found = [_member(value_side(text, "") if len(names) == 1 else text) for text in listed.members]
    return tuple(member for member in found if member is not None) if None not in found else None


def _member(text: str) -> Member | None:
    if infinite := _INFINITE.fullmatch(text):
        return "-inf" if infinite[1] == "-" else "inf"
    number = read_number(text)
    if number is not None:
        return number
    if (value := constant(text)) is not None:
        return value
    return text.casefold() if _WORD.fullmatch(text) else None


def _same(answer: Member, reference: Member) -> bool:
    if isinstance(answer, str) or isinstance(reference, str):
        return answer == reference
    if isinstance(answer, Number) and isinstance(reference, Number):
        return same_number(answer, reference)
    one, other = (side.value if isinstance(side, Number) else side for side in (answer, reference))
    return same_value(one, other) is True


def compare_lists(answer: str, reference: str) -> Verdict | None:
    """The verdict on two lists of plain values, None where either is no list or has members to be understood."""
    said, wanted = read_list(answer), read_list(reference)
    if said is None or wanted is None or (said.shape == "ordered") != (wanted.shape == "ordered"):
        return None
    values, references = _values(said), _values(wanted)
    if values is None or references is None:
        return None
    if said.shape == "ordered":
        return _ordered(said, wanted, values, references)
    return "right" if _matched(values, references) else "wrong"


def _ordered(
    said: Listed, wanted: Listed, values: tuple[Member, ...], references: tuple[Member, ...]
) -> Verdict | None:
    same = len(values) == len(references) and all(map(_same, values, references))
    if (said.opening, said.closing) == (wanted.opening, wanted.closing) or not same:
        return "right" if same else "wrong"
    return "wrong" if _is_interval(values) else None  # (1, 2] is not [1, 2), but [5, -1] may be a point


def _is_interval(values: tuple[Member, ...]) -> bool:
    if len(values) != 2 or "inf" in values or "-inf" in values:
        return len(values) == 2
    low, high = (value.value if isinstance(value, Number) else value for value in values)
    return not isinstance(low, str) and not isinstance(high, str) and low < high


def _matched(values: tuple[Member, ...], references: tuple[Member, ...]) -> bool:
    """Whether each reference has an answer and each answer a reference: lists as sets."""
    found = all(any(_same(v, r) for v in values) for r in references)
    return found and all(any(_same(v, r) for r in references) for v in values)


def read_matrix(text: str) -> tuple[Listed, ...] | None:
    """The rows of a LaTeX matrix, None when a text is none."""
    match = _MATRIX.fullmatch(text)
    if match is None:
        return None
    rows = [row for row in match[1].strip().removesuffix("\\\\").split("\\\\") if row.strip()]
    return tuple(Listed(tuple(cell.strip() for cell in row.split("&")), "(", ")") for row in rows)


def compare_matrices(answer: str, reference: str) -> Verdict | None:
    """The verdict on two matrices of plain values, None where either is none or has others."""
    said, wanted = read_matrix(answer), read_matrix(reference)
    if (said is None) != (wanted is None):
        return _vector(said or wanted or (), read_list(reference if said else answer))
    if said is None or wanted is None:
        return None
    values, references = [_values(row) for row in said], [_values(row) for row in wanted]
    if None in values or None in references:
        return None
    if [len(row.members) for row in said] != [len(row.members) for row in wanted]:
        return "wrong"
    pairs = zip((v for row in values for v in row or ()), (r for row in references for r in row or ()), strict=True)
    return "right" if all(_same(v, r) for v, r in pairs) else "wrong"


def _vector(matrix: tuple[Listed, ...], listed: Listed | None) -> Verdict | None:
    """A column or a row beside a tuple: `unsure` when their members are the same."""
    if (
        listed is None
        or listed.shape != "ordered"
        or not (len(matrix) == 1 or all(len(r.members) == 1 for r in matrix))
    ):
        return None
    values, others = _values(Listed(tuple(m for row in matrix for m in row.members))), _values(listed)
    if values is None or others is None:
        return None
    same = len(values) == len(others) and all(map(_same, values, others))
    return "unsure" if same else "wrong"
