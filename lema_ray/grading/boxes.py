"""The last `\\boxed{}` of a text, found by matching braces.

Called by `extract`. Boxes joined by nothing but commas, "and" or "or" are one list; a box that never closes is a text
that was cut off.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_OPEN = re.compile(r"\\f?box(?:ed)?\s*\{|\\boxed\s+(?=[\w\\-])")
_JOINT = re.compile(r"(?:\\(?:text|quad|\\|[()\[\]])|and|or|[{}\s$,;&.])*", re.I)
MAX_BOXES = 20


@dataclass(frozen=True, slots=True)
class Box:
    """Where the box stands and what it holds, None when it never closes."""

    start: int
    content: str | None


def _closing_brace(text: str, start: int) -> int | None:
    depth = 1
    for position in range(start, len(text)):
        char = text[position]
        if char in "{}" and text[position - 1] != "\\":
            depth += 1 if char == "{" else -1
        if depth == 0:
            return position
    return None


def _unboxed(content: str) -> str:
    """A box's content without boxes inside it."""
    content = content.strip()
    while content.endswith("}") and (inner := _OPEN.match(content)):
        content = content[inner.end() : -1].strip()
    return content


def last_box(text: str) -> Box | None:
    """The last outermost box of a text, with the boxes that it is listed with; None without any."""
    boxes: list[tuple[int, int, str]] = []
    position = 0
    while opened := _OPEN.search(text, position):
        if not opened[0].endswith("{"):
            word = re.compile(r"\S+").match(text, opened.end())
            end = word.end() if word else opened.end()
            boxes.append((opened.start(), end, text[opened.end() : end].strip("$.,")))
            position = end
            continue
        closed = _closing_brace(text, opened.end())
        if closed is None:
            return Box(opened.start(), None)
        boxes.append((opened.start(), closed + 1, _unboxed(text[opened.end() : closed])))
        position = closed + 1
    return Box(boxes[-1][0], ", ".join(_joined(text, boxes))) if boxes else None


def _joined(text: str, boxes: list[tuple[int, int, str]]) -> list[str]:
    contents = [boxes[-1][2]]
    for (_, end, content), (start, _, _) in zip(boxes[-2:-MAX_BOXES:-1], boxes[:-MAX_BOXES:-1], strict=False):
        between = text[end:start]
        if not re.search(r",|;|\band\b|\bor\b", between) or not _JOINT.fullmatch(between):
            break
        contents.insert(0, content)
    return contents


def without_boxes(text: str) -> str:
    """The text with every box that closes replaced by what it holds."""
    while box := next((m for m in _OPEN.finditer(text) if m[0].endswith("{")), None):
        end = _closing_brace(text, box.end())
        if end is None:
            return text
        text = text[: box.start()] + text[box.end() : end] + text[end + 1 :]
    return text
