"""Pulling the reference answer out of the column that holds it, and tidying worked solutions.

Called by `fields`. The rules: `gsm8k` takes what follows the last `####`, `boxed` the last closed `\\boxed{}`,
`letter` the letter of a choice, `plain` the whole text; `auto` chooses by what is there.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

Rule = Literal["auto", "plain", "gsm8k", "boxed", "letter"]

_FINAL_LINE = re.compile(r"^[ \t]*####[ \t]*(?P<answer>\S.*?)?[ \t]*$", re.MULTILINE)
_CALCULATOR_MARK = re.compile(r"<<[^\n]*?>>")
_BOX = re.compile(r"\\(?:boxed|fbox)(?:\s*(?P<brace>\{)|\s+(?P<bare>[^\s$\\{}]))")
_BARE_LETTER = re.compile(r"\(?([A-Za-z])\)?[.:]?")
_LETTERED = re.compile(r"\(?([A-Za-z])\s*[).:]\s*(.*)", re.DOTALL)


def reference_of(text: str, rule: Rule, choices: Sequence[str] | None = None) -> str | None:
    """The reference answer in a text, None where the rule finds none."""
    text = text.strip()
    if rule == "auto":
        rule = _rule_for(text, choices)
    found = {"gsm8k": last_hashes, "boxed": last_boxed}.get(rule)
    answer = choice_letter(text, choices) if rule == "letter" else found(text) if found else text
    return (answer or "").strip() or None


def _rule_for(text: str, choices: Sequence[str] | None) -> Rule:
    if choices:
        return "letter"
    if "####" in text:
        return "gsm8k"
    return "boxed" if _BOX.search(text) else "plain"


def last_hashes(text: str) -> str | None:
    """What follows the last `####`, on its line."""
    _, mark, after = text.rpartition("####")
    return after.strip().partition("\n")[0].strip() if mark else None


def last_boxed(text: str) -> str | None:
    """The content of the last `\\boxed` or `\\fbox` whose braces close, outermost first; also `\\boxed 3`."""
    answer, end = None, 0
    for box in _BOX.finditer(text):
        if box.start() < end:
            continue
        if box["bare"]:
            answer = box["bare"]
        elif (close := _closing_brace(text, box.end())) is not None:
            answer, end = text[box.end() : close], close
    return answer


def _closing_brace(text: str, start: int) -> int | None:
    depth = 1
    for brace in re.finditer(r"\\.|[{}]", text[start:], re.DOTALL):
        depth += {"{": 1, "}": -1}.get(brace.group(), 0)
        if depth == 0:
            return start + brace.start()
    return None


def choice_letter(text: str, choices: Sequence[str] | None = None) -> str | None:
    """The capital letter of a choice, given as `b`, `(B)`, `B) 12 apples` or the choice's own text; else None."""
    bare, lettered = _BARE_LETTER.fullmatch(text), _LETTERED.fullmatch(text)
    texts = [_plain(choice) for choice in choices or ()]
    if bare and _in_range(bare[1], choices):
        return bare[1].upper()
    if texts.count(_plain(text)) == 1:
        return chr(ord("A") + texts.index(_plain(text)))
    return lettered[1].upper() if lettered and _in_range(lettered[1], choices) else None


def _in_range(letter: str, choices: Sequence[str] | None) -> bool:
    return not choices or ord(letter.upper()) - ord("A") < len(choices)


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def without_letters(choices: Sequence[str]) -> tuple[str, ...]:
    """Choices without the `A)`, `B)`, ... in front of them, if all of them have it, in order."""
    matches = [_LETTERED.fullmatch(choice.strip()) for choice in choices]
    letters = "".join(m[1].upper() if m else "?" for m in matches)
    if letters == "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[: len(choices)]:
        return tuple(m[2].strip() for m in matches if m)
    return tuple(choice.strip() for choice in choices)


def tidy_solution(text: str) -> str:
    """A worked solution as models should write it.

    One that ends in GSM8K's `#### 42` loses its `<<48/2=24>>` calculator marks and ends with "The answer is 42.".
    Any other is kept as it is.
    """
    text = text.strip().replace("\r\n", "\n")
    finals = list(_FINAL_LINE.finditer(text))
    if not finals or text[finals[-1].end() :].strip():
        return text
    steps = _CALCULATOR_MARK.sub("", text[: finals[-1].start()]).strip()
    answer = (finals[-1]["answer"] or "").rstrip(".")
    return f"{steps}\nThe answer is {answer}.".strip() if answer else steps
