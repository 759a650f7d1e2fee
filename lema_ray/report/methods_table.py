"""The table of methods in cells: for `lema methods` as Markdown, for the report as rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lema_ray.evaluation.scores import Comparison
from lema_ray.report.formats import count, points
from lema_ray.report.methods import SHARES, Made, Method

HEAD = (
    "arm", "asked", "seeds", "right first, where stated", "right in the end", "wrong to right", "right to wrong",
    "against the first arm", "tokens an answer", "rows", "of them corrections", "tokens learned", "accepted rows",
    "corrector calls a row", "student requests a row", "money a row",
)  # fmt: skip
"""What is right first is stated before a doubt, or the first draft; of a plain answer it is the answer.

Answers that doubt before they state anything are left out there, and are neither `wrong to right` nor `right to wrong`.
"""


def markdown(lines: Sequence[Method]) -> Iterator[str]:
    """The table as Markdown, a line at a time; what a run does not have is left blank."""
    yield f"| {' | '.join(HEAD)} |"
    yield f"|{'---|' * len(HEAD)}"
    for one in lines:
        yield f"| {' | '.join(cells(one))} |"


def cells(one: Method) -> list[str]:
    """The line's cells in the order of `HEAD`."""
    made, train = one.made or Made(), one.train
    kinds = train.get("rows_by_kind", {})
    return [
        one.arm,
        one.sampling,
        str(one.seeds),
        *(_interval(*one.shares[name]) for name in SHARES),
        _difference(one.against),
        f"{one.tokens_per_answer:.0f}",
        count(train.get("rows", "")),
        count(kinds.get("corrections", 0)) if train else "",
        count(train.get("learned_tokens", "")),
        count(made.rows) if one.made else "",
        *(_number(made.per_row(spent)) for spent in (made.corrector, made.student)),
        _number(made.per_row(made.cost), 4),
    ]


def _interval(middle: float, low: float, high: float) -> str:
    if middle != middle:
        return ""
    shown = f"{100 * middle:.1f} %"
    return shown if low != low else f"{shown} ({100 * low:.1f} to {100 * high:.1f})"


def _difference(found: Comparison | None) -> str:
    if found is None:
        return ""
    span = f"{points(found.low, sign=True, unit='')} to {points(found.high, sign=True, unit='')}"
    return f"{points(found.difference, sign=True, unit='')} ({span})"


def _number(value: float | None, digits: int = 2) -> str:
    return "" if value is None else f"{value:.{digits}f}"
