"""What is asked by `analysis` and by recipes, read from nothing but the text. Used by the teachers.

A teacher must not share the prompts' code, or a prompt that a model could not understand would pass unnoticed: it goes
by the labels that the last block of a request shows.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal["analyze", "fix", "fresh", "inject", "smooth", "edit", "reflect", "critique"]

_LABEL = re.compile(
    r"(?m)^(Question|Reference Solution|Original Solution|Partial Solution|Solution|Beginning|Way|Words"
    r"|Mistake To Make|Doubt|Continuation|Solution So Far|Step To Edit|Edit|Right Step):[ \n]?"
)


@dataclass(frozen=True, slots=True)
class Request:
    """One request and the labelled blocks of its target.

    Of critiques: `to_the_end` wants a verdict on every step and the right answer, `then_correct` a correction too.
    """

    kind: Kind
    blocks: Mapping[str, str]
    to_the_end: bool = False
    then_correct: bool = False

    @property
    def question(self) -> str:
        """The question that it is about."""
        return self.blocks.get("Question", "")

    @property
    def steps(self) -> str:
        """The numbered steps that it shows."""
        return self.blocks.get("Original Solution") or self.blocks.get("Partial Solution", "")


def read_request(asked: str) -> Request | None:
    """The request, None when it is one of another recipe, or a plain question."""
    instruction, _, target = asked.rpartition("\n\n---\n\n")
    marks = list(_LABEL.finditer(target))
    ends = [*(m.start() for m in marks), len(target)][1:]
    blocks = {m[1]: target[m.end() : end].strip() for m, end in zip(marks, ends, strict=True)}
    kind = _kind(instruction, blocks)
    if kind == "critique":
        return Request(kind, blocks, "to the last" in instruction, "Correction:" in instruction)
    return Request(kind, blocks) if kind else None


def _kind(instruction: str, blocks: Mapping[str, str]) -> Kind | None:
    if "Mistake To Make" in blocks:
        return "inject"
    if "Step To Edit" in blocks and "Edit" in blocks:
        return "edit"
    if "Right Step" in blocks:
        return "reflect"
    if "Way" in blocks:
        return "fresh" if "start" in blocks["Way"] else "fix"
    if "Beginning" in blocks:
        return "smooth"
    if "Solution" in blocks and "Final answer" in instruction:
        return "critique"
    return "analyze" if "Error Type" in instruction and "Original Solution" in blocks else None


def show_fields(fields: Mapping[str, object], labels: Mapping[str, str], as_json: bool) -> str:
    """Fields as a JSON object, or as `Label: text` with texts of several lines on lines of their own."""
    if as_json:
        return json.dumps(dict(fields))
    return "\n".join(f"{labels[key]}:{chr(10) if chr(10) in str(v) else ' '}{v}" for key, v in fields.items())


def joined(words: str, sentence: str) -> str:
    """Words of doubt and what follows on them."""
    return f"{words} {sentence[0].lower() + sentence[1:] if words.endswith((',', ':')) else sentence}"
