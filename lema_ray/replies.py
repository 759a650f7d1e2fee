"""Read a model's reply: JSON where the endpoint made it, labelled text otherwise. Called by recipes and `analysis`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

# A JSON parser reads an unescaped \frac as a form feed and "rac"; these control characters never occur in solutions.
_LATEX_ESCAPES = {"\x0c": "\\f", "\x08": "\\b"}


def json_schema(kinds: Mapping[str, Any]) -> str:
    """The JSON schema of a reply with these fields, for endpoints that can enforce one.

    The value of a field is its type (`string`, `integer`) or a whole schema.
    """
    fields = {key: {"type": kind} if isinstance(kind, str) else kind for key, kind in kinds.items()}
    return json.dumps({"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False})


def read_fields(reply: str, labels: Mapping[str, str]) -> dict[str, str]:
    """The fields of a reply by key, from JSON keys or from `Label: text` blocks; a field that is not there is left out.

    `labels` maps each key to its label in text replies, in the order they come. Bold and heading marks around
    labels, code fences and text before the first label are tolerated; of a repeated label the last block counts.
    """
    found = _from_json(reply) if "{" in reply[:200] else None
    if found and set(found) & set(labels):
        return {key: _text(found[key]) for key in labels if found.get(key) not in (None, "")}
    return _from_text(reply, labels)


def _from_json(reply: str) -> dict[str, Any] | None:
    import json_repair

    start = reply.index("{")
    parsed = json_repair.loads(reply[start:])
    return parsed if isinstance(parsed, dict) else None


def _text(value: Any) -> str:
    text = "\n".join(str(item) for item in value) if isinstance(value, list) else str(value)
    for control, escape in _LATEX_ESCAPES.items():
        text = text.replace(control, escape)
    return text.strip()


def _from_text(reply: str, labels: Mapping[str, str]) -> dict[str, str]:
    marks = list(label_pattern(labels.values()).finditer(reply))
    ends = [*(m.start() for m in marks), len(reply)][1:]
    key_of = {label.casefold(): key for key, label in labels.items()}
    blocks = {key_of[m.group(1).casefold()]: reply[m.end() : end] for m, end in zip(marks, ends, strict=True)}
    return {key: text for key, block in blocks.items() if (text := _unfence(block))}


def label_pattern(labels: Iterable[str]) -> re.Pattern[str]:
    """What begins a block: one of the labels at the start of a line, with its colon and the marks around it."""
    names = "|".join(re.escape(label) for label in labels)
    return re.compile(rf"(?im)^[ \t]*[#*_>]*[ \t]*({names})[*_]*[ \t]*:[*_]*[ \t]*")


def _unfence(block: str) -> str:
    """A block without the code fence or the braces around it."""
    text = re.sub(r"^```\w*\n|\n?```\s*$", "", block.strip()).strip()
    if text.startswith("{") and text.endswith("}"):
        text = text[1:-1].strip()
    return text
