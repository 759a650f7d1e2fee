"""Inequalities as intervals: `-1 \\le x < 4` as `[-1,4)`, `x < 0 or x > 3` as a union.

Called by `compare` when one side of a comparison is written as intervals and the other as inequalities.
"""

from __future__ import annotations

import re

from lema_ray.grading.lists import compare_lists
from lema_ray.records import Verdict

_RELATION = re.compile(r"\s*(<|>|\\le(?![a-z])|\\ge(?![a-z]))\s*")
_VARIABLE = re.compile(r"[A-Za-z](?:_\{?\w+\}?)?|\\[a-z]+(?<!\\pi)(?<!\\infty)")
_INTERVAL = re.compile(r"[\[(][^\[\]]*,[^\[\]]*[\])]")
_UNION = re.compile(r"\s*\\cup(?![a-z])\s*|\s+or\s+")
_SET = re.compile(r"\\\{\s*[A-Za-z](?:\s*\\in\s*\(-\\infty,\\infty\))?\s*(?:\||:|\\mid)\s*(.*)\\\}", re.S)


def as_intervals(text: str) -> str | None:
    """The intervals that inequalities in one variable describe, in LaTeX; None when the text is no such thing."""
    builder = _SET.fullmatch(text)
    parts = re.split(r"\s+or\s+|\s*,\s*or\s+", builder[1].strip() if builder else text)
    made = [_interval(part) for part in parts]
    return "\\cup ".join(part for part in made if part) if all(made) and len(parts) <= 10 else None


def _interval(text: str) -> str | None:
    pieces = _RELATION.split(text.strip())
    if len(pieces) == 3:
        left, relation, right = pieces
        if _VARIABLE.fullmatch(left.strip()):
            return _half(relation, right)
        return _half({"<": ">", ">": "<", "\\le": "\\ge", "\\ge": "\\le"}[relation], left) if _named(right) else None
    if len(pieces) != 5 or not _named(pieces[2]):
        return None
    low, first, _, second, high = pieces
    if first in (">", "\\ge"):
        low, first, second, high = high, second, first, low
    opened, closed = "[" if first in ("\\le", "\\ge") else "(", "]" if second in ("\\le", "\\ge") else ")"
    return f"{opened}{low},{high}{closed}"


def _named(text: str) -> bool:
    return _VARIABLE.fullmatch(text.strip()) is not None


def _half(relation: str, bound: str) -> str:
    closed = relation in ("\\le", "\\ge")
    if relation in ("<", "\\le"):
        return f"(-\\infty,{bound}" + ("]" if closed else ")")
    return ("[" if closed else "(") + f"{bound},\\infty)"


def same_form(answer: str, reference: str) -> tuple[str, str]:
    """Both sides, with the inequalities of one written as intervals where the other is written so."""
    said, wanted = (_INTERVAL.search(text) is not None for text in (answer, reference))
    if said and not wanted:
        return answer, as_intervals(reference) or reference
    if wanted and not said:
        return as_intervals(answer) or answer, reference
    if _SET.fullmatch(answer) or _SET.fullmatch(reference):
        made = as_intervals(answer), as_intervals(reference)
        return (made[0], made[1]) if made[0] and made[1] else (answer, reference)
    return answer, reference


def compare_unions(answer: str, reference: str) -> Verdict | None:
    """The verdict on intervals, or unions of them, with plain numbers at their ends; None where there are others."""
    said, wanted = ([part.strip() for part in _UNION.split(text)] for text in (answer, reference))
    if len(said) > 10 or len(wanted) > 10 or not all(_INTERVAL.fullmatch(part) for part in (*said, *wanted)):
        return None
    verdicts = [[compare_lists(one, other) for one in said] for other in wanted]
    if any(verdict is None for row in verdicts for verdict in row):
        return None
    if all("right" in row for row in verdicts) and len(said) == len(wanted):
        return "right"
    return "wrong" if len(said) == len(wanted) == 1 else None  # intervals may touch: mathematics has to say
