"""Which choice of a multiple-choice question a text names: by letter, `(B)`, "option B", or by the choice's own words.

Called by `extract` and `compare`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

LETTERS = "ABCDEFGHIJ"
_WRAPPED = re.compile(r"\\(?:text|mathrm|mathbf|textbf|boxed)\s*\{([^{}]*)\}")
_LETTER = re.compile(
    r"[\s*_$\"'(\[{]*(?:(?:option|choice|answer)\s+)?[*($\[]*([A-J])(?:[\s)\].:*$\"}]|'(?!\w)|,|$)", re.I
)
_TWO = re.compile(r"\W*[A-J]\W*(?:,|/|&|\band\b|\bor\b)\W*[A-J]\b(?!\s+\w)", re.I)
_NAMED = re.compile(r"\b(?:option|choice|answer)s?\s*[*\"(]*([A-J])\b|\(([A-J])\)", re.I)
_LONE = re.compile(r"(?<![\w'])([B-J]|A(?=[.*\s]*$))(?![\w'])")


def is_letter(reference: str) -> bool:
    """Whether a reference is the letter of a choice."""
    return len(reference) <= 3 and reference.strip("() ") in tuple(LETTERS)


def choice_letter(text: str) -> str | None:
    """The letter that a short answer starts with: `B`, `(B)`, `\\text{B}`, `B. 12 apples`, "option B"."""
    text = _WRAPPED.sub(r"\1", text).strip()
    match = _LETTER.match(text)
    if match is None or _TWO.match(text):
        return None
    bare = text[match.end() :].strip(" .)*$") == ""
    return match[1].upper() if bare or (match[1].isupper() and text[match.start(1) + 1] not in " ,") else None


def _words(text: str) -> str:
    text = re.sub(r"^\s*\(?[A-J]\s*[).:]\s*", "", _WRAPPED.sub(r"\1", text))
    return " ".join(re.sub(r"[^\w.%/+-]+", " ", text.casefold()).strip(" .").split())


def _by_words(text: str, choices: Sequence[str], inside: bool) -> str | None:
    said = _words(text)
    hits = [
        letter
        for letter, choice in zip(LETTERS, choices, strict=False)
        if (words := _words(choice)) and (words == said or (inside and f" {words} " in f" {said} "))
    ]
    return hits[0] if len(hits) == 1 else None


def stated_choice(text: str, choices: Sequence[str] | None, *, whole_sentence: bool = False) -> str | None:
    """The letter of the one choice that an answer names, None when it names none or several.

    With `whole_sentence` the text is a solution without an explicit answer, and its last sentence is searched.
    """
    if not whole_sentence:
        return choice_letter(text) or (_by_words(text, choices, inside=True) if choices else None)
    if len(text) <= 100 and (letter := choice_letter(text)):
        return letter
    sentences = [part for part in re.split(r"(?<=[.!?])\s+|\n", text[-1_000:].strip()) if part.strip()]
    last = sentences[-1] if sentences else ""
    named = {(m[1] or m[2]).upper() for m in _NAMED.finditer(last)} or set(_LONE.findall(last))
    if len(named) == 1:
        return named.pop()
    return None if named or not choices else _by_words(last, choices, inside=True)
