"""Does an answer equal a reference? The cheap, exact comparisons: text, choices, numbers, times, lists, plain algebra.

Called by `pool`. What cannot be decided here is left to `symbolic` in a child process; what should not even be tried
there (towers of powers, code) is refused here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from lema_ray.grading.choices import LETTERS, choice_letter, stated_choice
from lema_ray.grading.evaluate import compare_values, constant
from lema_ray.grading.intervals import compare_unions, same_form
from lema_ray.grading.lists import compare_lists, compare_matrices, read_list
from lema_ray.grading.numbers import Number, near_miss, numbers_in, read_number, same_number
from lema_ray.grading.refusals import why_not_symbolic
from lema_ray.grading.spelling import normalise, value_side, without_unit
from lema_ray.grading.times import read_compound, read_time, same_time
from lema_ray.grading.units import kinds
from lema_ray.records import Verdict

_DECIMAL_COMMA = re.compile(r"(-?\d+),(\d{1,2}|\d{4,})(?![\d,])")
_LETTER_REFERENCE = re.compile(rf"\(?([{LETTERS}])\)?")
_WORDS = re.compile(r"[^\W\d_]+(?:[ '-]+[^\W\d_]+)*")
_SHORT_WORDS = {"yes", "no", "odd"}
_ARTICLES = re.compile(r"^(?:an?|the|on|in|at)\s+")
_NOTHING = {"none", "nothing", "no solution", "no solutions", "no real solution", "no real solutions", "zero", "never"}
_INFINITY = re.compile(r"[-+]?\s*\\infty")
_WRAPPED = re.compile(r"[(\[\"'*_`]+|[)\]\"'*_`.]+$")
_OPERATORS = re.compile(r"[\\^=+*/!_{}<>]|\d\s*-\s*\d")
_STATEMENT = re.compile(r"[^\d$€£¥-]+?\s(-?[$€£¥]?-?\d.*)", re.S)
_INEXACT = re.compile(
    r"\b(?:not?|never|than|least|most|over|under|about|around|approximately|nearly|almost|half|twice)\b", re.I
)
_HEDGES = re.compile(r"\b(?:or|and|either|between)\b", re.I)
_OUT_OF = re.compile(r"(.+?)\s*(?::|\b(?:to|in|out\s+of)\b)\s*(.+)")
_SCALE = re.compile(r"\b(?:hundred|thousand|million|billion|dozen)", re.I)
_SPOKEN_NUMBER = re.compile(
    r"zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|teen|ty\b|hundred|thousand|million|dozen"
    r"|half|third|quarter|fifth|twice|double|triple|first|second|once|single|couple|pair|none|nothing|nobody|never|no\b|all\b|every|equal|same|[^\x00-\x7f]",
    re.I,
)


@dataclass(frozen=True, slots=True)
class Comparison:
    """What one comparison found, its name, and why where that is not plain."""

    verdict: Verdict
    rule: str
    reason: str | None = None


def _said(same: bool, rule: str) -> Comparison:
    return Comparison("right" if same else "wrong", rule)


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
    said, wanted = (_ARTICLES.sub("", _WRAPPED.sub("", text.casefold())).strip() for text in (answer, reference))
    if said != wanted and re.search(rf"(?<!\w){re.escape(wanted)}(?!\w)", said):
        return Comparison("unsure", "words", "the answer holds the reference among other words")
    if wanted in _NOTHING and said in _NOTHING | {"0", "\\emptyset"}:
        return Comparison("right" if said == wanted else "unsure", "words", "two words for nothing")
    return _said(said == wanted, "words")


def _times(answer: str, reference: str) -> Comparison | None:
    said, wanted = read_time(answer), read_time(reference)
    if said is None or wanted is None:
        return None
    return _said(same_time(said, wanted), "time")


def _stated(answer: str) -> Number | None:
    """The number of a statement such as "Verna received $7.00 in change"."""
    match = _STATEMENT.fullmatch(answer)
    return read_number(match[1]) if match and not _INEXACT.search(answer) else None


def _quantity(text: str) -> Number | None:
    return read_number(text) or read_compound(text) or read_number(_DECIMAL_COMMA.sub(r"\1.\2", text))


def _ratio(text: str) -> Number | None:
    """The quotient of `3:8` or "3 to 8"."""
    match = _OUT_OF.fullmatch(text)
    sides = (read_number(match[1]), read_number(match[2])) if match else (None, None)
    if sides[0] is None or sides[1] is None or not sides[1].value:
        return None
    return Number(sides[0].value / sides[1].value)


def _numbers(answer: str, reference: str) -> Comparison | None:
    wanted = read_number(reference) or read_compound(reference)
    ratio = _ratio(reference) if wanted is None else None
    if wanted is None and ratio is None:
        return None
    said = _quantity(answer) or _ratio(answer)
    if said is not None:
        compared = _compared(said, wanted or ratio)  # type: ignore[arg-type]
        in_thousands = compared.verdict == "wrong" and _SCALE.search(answer) and wanted
        return _in_text(answer, wanted) if in_thousands and wanted else compared
    return _in_text(answer, wanted) if wanted else None


def _compared(said: Number, wanted: Number) -> Comparison:
    if same_number(said, wanted):
        return Comparison("right", "number")
    reason = near_miss(said, wanted)
    return Comparison("unsure", "number", reason) if reason else Comparison("wrong", "number")


def _in_text(answer: str, wanted: Number) -> Comparison | None:
    """The verdict on words around a number, or in its place."""
    listed = read_list(answer)
    members = [read_number(member) for member in listed.members] if listed and listed.shape == "list" else []
    if members and all(members):
        same = all(member and same_number(member, wanted) for member in members)
        return Comparison("right", "number") if same else Comparison("wrong", "alternatives", "several values")
    if _OPERATORS.search(answer) or not re.search(r"[^\W\d_]{3,}", answer):
        return None
    values = numbers_in(answer)
    if len(values) == 1 and (stated := _stated(answer)):
        return _compared(stated, wanted)
    if wanted.value not in values:
        unread = _SPOKEN_NUMBER.search(answer) is not None
        return Comparison("unsure" if unread else "wrong", "numbers_in_text", "numbers in words" if unread else None)
    if len(values) > 1 and _HEDGES.search(answer):
        return Comparison("wrong", "alternatives")
    return Comparison("unsure", "numbers_in_text", "one of the numbers in the answer is the reference")


def _valued(answer: str, reference: str) -> Comparison | None:
    """The verdict on two plain expressions, such as `\\sqrt{18}` and `3\\sqrt{2}`."""
    wanted, value = read_number(reference), constant(answer)
    if wanted is not None and value is not None and (wanted.places or 0) >= 2:
        slack = Fraction(1, 2) / 10**wanted.places if wanted.places else Fraction(0)
        close = abs(Fraction(value) - wanted.value) <= slack
        return Comparison("right" if close else "wrong", "rounds_to_reference")
    verdict = compare_values(answer, reference)
    return Comparison(verdict, "value") if verdict else None


def without_units(answer: str, reference: str) -> tuple[str, str] | Comparison:
    """Both sides without the units after them; a verdict already where those conflict."""
    (said, unit), (wanted, other) = without_unit(answer), without_unit(reference)
    if unit and other and not (unit <= other or other <= unit):
        conflict = kinds(unit) != kinds(other)
        return Comparison("wrong" if conflict else "unsure", "unit", "the units differ")
    return said, wanted


def compare_exactly(answer: str, reference: str, choices: Sequence[str] | None = None) -> Comparison | None:
    """The verdict where an exact comparison can give one, None where mathematics has to be understood."""
    said, wanted = normalise(answer), normalise(reference)
    if decided := _letters(said, wanted, choices):
        return decided
    if said.replace(" ", "") == wanted.replace(" ", "") and said:
        return Comparison("right", "same_text")
    said, wanted = value_side(said, wanted), value_side(wanted, said)
    if decided := _times(said, wanted):
        return decided
    if _is_words(wanted, reference) and read_number(wanted) is None:
        listed = compare_lists(said, wanted)
        return Comparison(listed, "members") if listed else _words(said, wanted)
    if decided := _numbers(said, wanted):
        return decided
    bare = without_units(answer, reference)
    if isinstance(bare, Comparison):
        return bare
    if bare != (answer, reference):
        return compare_exactly(*bare, choices)
    said, wanted = same_form(said, wanted)
    if listed := compare_unions(said, wanted) or compare_lists(said, wanted) or compare_matrices(said, wanted):
        return Comparison(listed, "members")
    if valued := _valued(said, wanted):
        return valued
    if _INFINITY.fullmatch(said) and constant(wanted) is not None:
        return Comparison("wrong", "value")
    if said.startswith("\\{") and read_list(wanted) and wanted.startswith("(") and not re.search(r"\),", wanted):
        return Comparison("wrong", "set_for_tuple")
    refusal = why_not_symbolic(said, wanted) or why_not_symbolic(wanted, wanted)
    return Comparison("unsure", "refused", refusal) if refusal else None
