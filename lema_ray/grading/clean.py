"""Model text made plain before an answer is looked for: bounded, ASCII digits, no thoughts, no invented next question.

Called by `extract` and `compare` only.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache

HEAD, TAIL = 2_000, 20_000
"""Characters kept of a long text. The answer is at the end; the head is kept for `<think>` and the like."""

_DROPPED = "\x00\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff\u00ad"
_SAME = {
    **dict.fromkeys("−–—‒‐‑﹣－", "-"),
    **dict.fromkeys("\u00a0\u2009\u202f\u3000\u2002\u2003\u2007", " "),
    "。": ". ",
    "।": ". ",
    "、": ", ",
    "，": ", ",
    "：": ": ",
    "⁄": "/",
    "٬": ",",
    "٫": ".",
    "’": "'",
    "‘": "'",
    "“": '"',
    "”": '"',
}
_LATEX = {
    "π": r"\pi ", "∞": r"\infty ", "×": r"\times ", "·": r"\cdot ", "⋅": r"\cdot ", "÷": "/", "≤": r"\le ",
    "≥": r"\ge ", "≠": r"\ne ", "∪": r"\cup ", "∩": r"\cap ", "±": r"\pm ", "°": r"^\circ ", "∈": r"\in ",
    "≈": r"\approx ", "∅": r"\emptyset ", "ℝ": r"\mathbb{R}", "²": "^2", "³": "^3", "⁴": "^4",
    "θ": r"\theta ", "α": r"\alpha ", "β": r"\beta ",
}  # fmt: skip
_THOUGHT = re.compile(r"<think(?:ing)?>.*?</think(?:ing)?>", re.S | re.I)
_THOUGHT_END = re.compile(r"</think(?:ing)?>", re.I)
_THOUGHT_START = re.compile(r"<think(?:ing)?>", re.I)
_NEXT_QUESTION = re.compile(
    r"\S[ \t]*\n[ \t]*(?:\n\s{0,9}(?:Q|Question|User|Human)[ ]?\d{0,4}:|(?:#+[ ]?)?Problem[ ]?\d{0,4}:)"
)
_MARKUP = re.compile(r"</?(?:b|strong|i|em|u|p|span)>", re.I)
_TURN_END = re.compile(r"<\|(?:end|im_end|eot|endof)\w*\|>|</s>|<end_of_turn>|<eos>")
_CALCULATOR = re.compile(r"<<[^<>\n]*(?:>>|$)")
_ROOT = re.compile(r"([√∛∜])\s*(\d+|[a-z]|\([^()]*\))")
_ROOTS = {"√": r"\sqrt", "∛": r"\sqrt[3]", "∜": r"\sqrt[4]"}


@cache
def _plain(char: str) -> str:
    if char in _DROPPED:
        return ""
    if char in _SAME:
        return _SAME[char]
    if unicodedata.category(char) == "Nd":
        return str(unicodedata.decimal(char))
    if "VULGAR FRACTION" in unicodedata.name(char, ""):
        return " " + unicodedata.normalize("NFKC", char).replace("⁄", "/")
    return chr(ord(char) - 0xFEE0) if "！" <= char <= "～" else char


def plain_characters(text: str) -> str:
    """Digits of every script as ASCII digits, every minus as `-`, full-width forms as ASCII, invisible marks gone."""
    if text.isascii() and "\x00" not in text:
        return text
    return "".join(char if char != "\x00" and char.isascii() else _plain(char) for char in text)


def latex_symbols(text: str) -> str:
    """Unicode mathematics as LaTeX commands: `√3` as `\\sqrt{3}`, `π` as `\\pi`."""
    if text.isascii():
        return text
    text = _ROOT.sub(lambda m: _ROOTS[m[1]] + "{" + m[2].strip("()") + "}", text)
    return "".join(_LATEX.get(char, char) for char in text)


def _without_thoughts(text: str) -> str:
    end = next((m.end() for m in reversed(list(_THOUGHT_END.finditer(text)))), 0)
    before = _THOUGHT_END.split(_THOUGHT.sub(" ", text[:end]))[-1]  # the opening mark is often part of the prompt
    return "" if _THOUGHT_START.search(text, end) else before + text[end:]


def _bounded(text: str) -> str:
    return text if len(text) <= HEAD + TAIL else text[:HEAD] + "\n" + text[-TAIL:]


def clean(text: str) -> str:
    """The part of a model's text in which its answer may be looked for; empty when it never stopped thinking.

    Text that runs on behind a turn's end mark, or into an invented next question (`Question:` after a blank line), is
    cut there, and GSM8K's calculator marks (`<<48/2=24>>`) are dropped.
    """
    text = plain_characters(_bounded(text))
    text = _without_thoughts(text) if "<" in text else text
    text = _MARKUP.sub("", text) if "</" in text else text
    turn_end = _TURN_END.search(text) if "<" in text else None
    text = text[: turn_end.start()] if turn_end else text
    run_on = _NEXT_QUESTION.search(text)
    return _CALCULATOR.sub("", text[: run_on.start() + 1] if run_on else text).strip()
