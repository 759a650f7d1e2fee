"""Does an answer equal a reference? The cheap, exact comparisons: text, words, choices, numbers. No sympy, no process.

Called by `pool`. What cannot be decided here is left to `symbolic` in a child process; what should not even be tried
there (towers of powers, code) is refused here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from lema_ray.grading.choices import LETTERS, choice_letter, stated_choice
from lema_ray.grading.clean import latex_symbols, plain_characters
from lema_ray.grading.numbers import MAX_DIGITS, Number, numbers_in, read_number, same_number
from lema_ray.records import Verdict

_TEXT = re.compile(r"\\(?:text(?:bf|it|rm|normal)?|math(?:rm|bf|it|sf)|mbox|operatorname)\s*\{([^{}]*)\}")
_SPACING = re.compile(r"\\left(?![a-z])|\\right(?![a-z])|\\!\s*|\\displaystyle")
_WIDE = re.compile(r"(?<!\\)\\[,;:> ]|\\q?quad(?![a-z])|~|\s+")
_MEMBER = re.compile(r"^[a-z]\s*\\in\s*(?=[\[(\\])", re.I)
_VARIABLE = re.compile(r"[A-Za-z\\]+(?:_\{?\w+\}?)?\s*(?:\([a-z]\)\s*)?")
_DECIMAL_COMMA = re.compile(r"(-?\d+),(\d{1,2})(?!\d|,)")
_LETTER_REFERENCE = re.compile(rf"\(?([{LETTERS}])\)?")
_WORDS = re.compile(r"[^\W\d_]+(?:[ '-]+[^\W\d_]+)*")
_SHORT_WORDS = {"yes", "no", "odd"}
_ARTICLES = re.compile(r"^(?:an?|the|on|in|at)\s+")
_OPERATORS = re.compile(r"[\\^=+*/!_{}<>]|\d\s*-\s*\d")
_STATEMENT = re.compile(r"[^\d$€£¥-]+?\s(-?[$€£¥]?-?\d.*)", re.S)
_INEXACT = re.compile(
    r"\b(?:not?|never|than|least|most|over|under|about|around|approximately|nearly|almost|half|twice)\b", re.I
)
_HEDGES = re.compile(r"\b(?:or|and|either|between)\b", re.I)


@dataclass(frozen=True, slots=True)
class Comparison:
    """What one comparison found, its name, and why where that is not plain."""

    verdict: Verdict
    rule: str
    reason: str | None = None


def _said(same: bool, rule: str) -> Comparison:
    return Comparison("right" if same else "wrong", rule)


def normalise(text: str) -> str:
    """One spelling for what looks the same: no spacing commands, `\\text{}`, `$ $`; Unicode maths as LaTeX."""
    text = latex_symbols(plain_characters(text)).strip().replace("{,}", ",")
    text = text.replace("\\dfrac", "\\frac").replace("\\tfrac", "\\frac").replace("\\%", "%").replace("\\$", "$")
    text = _WIDE.sub(" ", _SPACING.sub("", _TEXT.sub(r" \1 ", text))).strip().rstrip(".").strip()
    if text.count("$") % 2 == 0:
        text = text.replace("$", "")
    return _MEMBER.sub("", text).strip()


def value_side(text: str, other: str) -> str:
    """The value in `x = 5` where the other side is not an equation, and the exact one in `\\sqrt 2 \\approx 1.41`."""
    exact, _, rounded = text.partition("\\approx")
    text = rounded if rounded and _VARIABLE.fullmatch(exact.strip()) else exact
    if "=" not in text or "=" in other or re.search(r"[<>]|\\[lg]e|,", text):
        return text.strip()
    left, _, right = text.rpartition("=")
    simple = _VARIABLE.fullmatch(left.strip()) or re.search(r"\d", left)
    whole = all(right.count(a) == right.count(b) for a, b in ("{}", "()"))
    return right.strip() if simple and whole else text.strip()


def _letters(answer: str, reference: str, choices: Sequence[str] | None) -> Comparison | None:
    wanted = _LETTER_REFERENCE.fullmatch(reference)
    if wanted is None or (choices is None and len(answer) > 200):
        return None
    letter = choice_letter(answer) or (stated_choice(answer, choices) if choices else None)
    if letter is None and choices and (value := read_number(answer)):
        numbers = [read_number(re.sub(r"^\(?[A-J]\s*[).:]\s*", "", normalise(choice))) for choice in choices]
        same = [at for number, at in zip(numbers, LETTERS, strict=False) if number and same_number(value, number)]
        letter = same[0] if len(same) == 1 else None
    if letter is None and choices is None:
        return Comparison("unsure", "choice", "the reference is a choice, the answer names none")
    return _said(letter == wanted[1], "choice")


def _is_words(text: str, raw: str) -> bool:
    long_enough = len(text) >= 4 or text.lower() in _SHORT_WORDS or (len(text) > 1 and "\\text" in raw)
    return long_enough and _WORDS.fullmatch(text) is not None


def _words(answer: str, reference: str) -> Comparison:
    said, wanted = (_ARTICLES.sub("", text.casefold()) for text in (answer, reference))
    if said != wanted and wanted in said.split():
        return Comparison("unsure", "words", "the answer holds the reference among other words")
    return _said(said == wanted, "words")


def _stated(answer: str) -> Number | None:
    """The number of a statement such as "Verna received $7.00 in change"."""
    match = _STATEMENT.fullmatch(answer)
    return read_number(match[1]) if match and not _INEXACT.search(answer) else None


def _numbers(answer: str, reference: str) -> Comparison | None:
    wanted = read_number(reference)
    if wanted is None:
        return None
    said = read_number(answer) or read_number(_DECIMAL_COMMA.sub(r"\1.\2", answer))
    if said is not None:
        return _said(same_number(said, wanted), "number")
    if _OPERATORS.search(answer) or not re.search(r"[^\W\d_]{3,}", answer):
        return None
    values = numbers_in(answer)
    if len(values) == 1 and (stated := _stated(answer)):
        return _said(same_number(stated, wanted), "numbers_in_text")
    if wanted.value not in values:
        return Comparison("wrong", "numbers_in_text")
    if len(values) > 1 and _HEDGES.search(answer):
        return Comparison("wrong", "alternatives")
    return Comparison("unsure", "numbers_in_text", "one of the numbers in the answer is the reference")


def compare_exactly(answer: str, reference: str, choices: Sequence[str] | None = None) -> Comparison | None:
    """The verdict where an exact comparison can give one, None where mathematics has to be understood."""
    said, wanted = normalise(answer), normalise(reference)
    if decided := _letters(said, wanted, choices):
        return decided
    if said.replace(" ", "") == wanted.replace(" ", ""):
        return Comparison("right", "same_text")
    said, wanted = value_side(said, wanted), value_side(wanted, said)
    if _is_words(wanted, reference):
        return _words(said, wanted)
    if decided := _numbers(said, wanted):
        return decided
    if said.startswith("\\{") and wanted.startswith("(") and "," in wanted:
        return Comparison("wrong", "set_for_tuple")
    refusal = why_not_symbolic(said, wanted)
    return Comparison("unsure", "refused", refusal) if refusal else None


_CODE = re.compile(r"__|\bimport\b|\bopen\s*\(|\bexec\b|\beval\b|\blambda\b|\bsystem\b")
_TOWER = re.compile(r"(?:\^|\*\*)\s*[{(]*\s*[\w.]+\s*[)}]*\s*(?:\^|\*\*)")
_EXPONENT = re.compile(r"(?:\^|\*\*)\s*[{(]*\s*-?\d{5,}")
_FACTORIAL = re.compile(r"\d{5,}\s*!|\)\s*!|!\s*!")
_LARGE = re.compile(r"\\(?:sum|prod|int|iint|oint|lim)(?![a-z])")


def _depth(text: str) -> int:
    depth = deepest = 0
    for char in text:
        depth += (char in "([{") - (char in ")]}")
        deepest = max(deepest, depth)
    return deepest


def why_not_symbolic(answer: str, reference: str) -> str | None:
    """Why an answer is not given to a computer algebra system, None when it may be."""
    checks = {
        "longer than 1,500 characters": len(answer) > 1_500,
        "nested more than 40 deep": _depth(answer) > 40,
        "looks like code": bool(_CODE.search(answer)),
        "a tower of powers": bool(_TOWER.search(answer)),
        "an exponent of more than 4 digits": bool(_EXPONENT.search(answer)),
        "a huge or nested factorial": bool(_FACTORIAL.search(answer)),
        "sums, integrals or limits that the reference has not": bool(_LARGE.search(answer))
        and not _LARGE.search(reference),
        f"more than {MAX_DIGITS} digits": sum(char.isdigit() for char in answer) > MAX_DIGITS,
    }
    return next((reason for reason, refused in checks.items() if refused), None)
