"""Finding the one final answer in a solution: the last one that the text states explicitly, or none.

Called by `grade` and `GradingPool`; also useful alone, e.g. to vote. Explicit marks (`<answer>`, `\\boxed{}`, `####`,
"the answer is") beat guesses from the closing sentence (`last_math`, `last_number`), which carry nearly all errors.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from lema_ray.grading.boxes import last_box
from lema_ray.grading.choices import stated_choice
from lema_ray.grading.clean import clean
from lema_ray.grading.numbers import NUMBER, read_number
from lema_ray.records import Task

MAX_ANSWER = 1_500
"""Characters of a final answer; what is longer is no answer."""
MAX_PHRASES = 20
"""How many "the answer is" are looked at, from the last one back."""

_JSON = re.compile(r'"(?:final_)?answer"\s*:\s*(?:"((?:[^"\\]|\\.)*)"|(-?[\d.,]+))', re.I)
_HASHES = re.compile(r"####[ \t]*([^\n]*)")
_PHRASE = re.compile(
    r"""(?: \b(?:answer|respuesta|réponse|antwort|jibu) (?:\s+(?:final|finale|correcta?|to\ [^.:\n]{1,80}))?
            [*_"\s]* (?: \s(?:is|are|would\ be|must\ be|will\ be|es|est|ist|lautet|ni)\b[*_]*\s*:? | [:=] )
          | \b(?:correct\s+)(?:answer|option|choice)\s+(?=\(?[A-J]\b)
          | \bответ(?:\s+равен)?\s*[:=-]? | (?:最终)?答案(?:是|为|：|:)+ | 答え(?:は|:)+
          | คำตอบ(?:คือ|:)* | উত্তর(?:টি)?\s*(?:হলো|হল|:)? | సమాధానం\s*[:=]? )""",
    re.X | re.I,
)  # fmt: skip
_SENTENCE_END = re.compile(r"(?<!\\)[.!?](?=[\s*\"')]|$)|\n|$")
_CONTRAST = re.compile(r",?\s+(?:not|rather than|instead of|as opposed to)\s.*$", re.S | re.I)
_DISPLAY = re.compile(r"\s*[*_]*(?:\\\[(.+?)\\\]|\$\$(.+?)\$\$|\\\((.+?)\\\)|\$([^$\n]+?)\$)", re.S)
_SAMPLE_LINE = re.compile(r"(?:^|\n)A:[ \t]*([^\n]+)$")
_MATHS = re.compile(
    r"\$\$(.+?)\$\$|\$(?![A-Za-z]\$)([^$\n]+)\$(?![\d<])|\\\((?![A-Za-z]\\\))(.+?)\\\)|\\\[(.+?)\\\]", re.S
)
_CLOSED = re.compile(r"(?:[.!?]|(?<=[\w})\]])\$|\\\)|\\\])[\s*\"')]*$")
_UNFINISHED = re.compile(r"(?:[-=+*/^]|\\times|\\cdot)\s*$")
_ARGUES = re.compile(r"(?:an?|also|then|obviously|therefore|not|correct|wrong|right|clear|given|found|as|in)\b", re.I)
_LAST_SENTENCE = re.compile(r"(?:.*(?:(?<!\\)[.!?]\s|\n))?\s*(\S.*)$", re.S)
_ENDS_IN_DISPLAY = re.compile(r"(?:\\\[((?:(?!\\\[).)+?)\\\]|\$\$((?:(?!\$\$).)+?)\$\$)[\s.*]*$", re.S)
_FILLED = re.compile(r"\w|∅|\\[{}]")
_EMPHASIS = re.compile(r"(?<=\w)\*\*(?=\s)")
_PROSE = re.compile(r"(?<![\\{\w])[a-z]{3,}(?![\w}])", re.I)


@dataclass(frozen=True, slots=True)
class Extracted:
    """The final answer as the text states it, None when there is none, and the rule that found it."""

    answer: str | None
    rule: str


NO_ANSWER = Extracted(None, "no_answer")
Found = tuple[int, Extracted]


def _trim(answer: str) -> str:
    answer = _EMPHASIS.sub("", answer.strip().strip("*_`\"'").strip().rstrip(",;").rstrip())
    return answer[:-1].rstrip() if answer.endswith((".", ":")) and not answer.endswith("..") else answer


def _found(position: int, answer: str | None, rule: str) -> Iterator[Found]:
    answer = _trim(answer or "")
    if answer and len(answer) <= MAX_ANSWER and _FILLED.search(answer) and not _UNFINISHED.search(answer):
        yield position, Extracted(answer, rule)


def _last(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    return next(reversed(list(pattern.finditer(text))), None)


def _sentence(text: str, start: int) -> str:
    """What stands from `start` to the end of its sentence, or the formula that stands there."""
    text = text[: start + MAX_ANSWER + 100]
    start += len(text[start : start + 80]) - len(text[start : start + 80].lstrip(" \t\r\n*_:"))
    if formula := _DISPLAY.match(text, start):
        after = text[formula.end() : formula.end() + 1]
        if formula[1] or formula[2] or after in ("", ".", "\n", " ", "*"):
            return next(group for group in formula.groups() if group)
    end = _SENTENCE_END.search(text, start)
    return _CONTRAST.sub("", text[start : end.start() if end else len(text)])


def _looks_final(answer: str) -> bool:
    """Whether what follows "the answer is" is an answer, not the rest of an argument ("consistent with ...")."""
    starts_like_one = re.match(r"[*\s\\$(\[{+-]*(?:\d|\\|\(?[A-J]\)|[^\x00-\x7f])", answer)
    return starts_like_one is not None or (len(_PROSE.findall(answer)) <= 4 and not _ARGUES.match(answer))


def _phrases(text: str) -> Iterator[Found]:
    for match in reversed(list(_PHRASE.finditer(text))[-MAX_PHRASES:]):
        answer = _sentence(text, match.end())
        found = list(_found(match.start(), answer, "answer_is"))
        if found and _looks_final(found[0][1].answer or ""):
            yield found[0]
            return


def _explicit(text: str) -> Iterator[Found]:
    """Every explicit mark's last answer, with where it stands."""
    end = text.lower().rfind("</answer>")
    start = text.lower().rfind("<answer>", 0, max(end, 0))
    if start >= 0:
        yield from _found(start, text[start + len("<answer>") : end], "answer_tag")
    if '"' in text and (field := _last(_JSON, text)):
        value = field[2] if field[1] is None else field[1].replace("\\\\", "\\")
        yield from _found(field.end(), value, "answer_field")
    if "####" in text and (hashes := _last(_HASHES, text)):
        yield from _found(hashes.start(), hashes[1], "hashes")
    yield from _phrases(text)
    if line := _SAMPLE_LINE.search(text):
        yield from _found(line.start(), line[1], "answer_line")


def _closing(text: str) -> Iterator[Found]:
    """What the last sentence ends in, when the text ends like a sentence."""
    if display := _ENDS_IN_DISPLAY.search(text[-1_000:]):
        content = display[1] or display[2]
        aligned = content.rpartition("=")[2].partition("\\end")[0]
        yield from _found(0, aligned if "\\begin{a" in content else content, "last_math")
        return
    sentence = _LAST_SENTENCE.match(text[-1_000:])
    if not _CLOSED.search(text) or sentence is None:
        return
    maths = _last(_MATHS, sentence[1])
    tail = sentence[1][maths.end() :] if maths else sentence[1].rpartition("=")[2]
    numbers = list(NUMBER.finditer(tail)) or ([] if maths else list(NUMBER.finditer(sentence[1])))
    if numbers:
        yield from _found(0, numbers[-1][0], "last_number")
    elif maths:
        yield from _found(0, next(group for group in maths.groups() if group), "last_math")


def _whole(text: str) -> Iterator[Found]:
    """A text that is nothing but an answer."""
    short = len(text) <= 100 and "\n" not in text
    if short and (
        read_number(text.strip("$*. ")) or re.fullmatch(r"[\w-]+|\$?\\[^.]+", text) or not _PROSE.search(text)
    ):
        yield from _found(0, text.strip("$"), "whole_text")


def extract_answer(text: str, task: Task = "arithmetic", choices: Sequence[str] | None = None) -> Extracted:
    """The final answer of a solution, as it is written there, and the rule that found it.

    When a solution states several, the last one wins (it may have corrected itself). A text that is cut off before or
    inside its answer has none: rule `no_answer`. With task `choice` the answer is the chosen letter if one can be told.
    """
    text = clean(text)
    box = last_box(text)
    candidates = list(_explicit(text))
    if box is not None:
        candidates += list(_found(box.start, box.content, "boxed")) or [(box.start, NO_ANSWER)]
    if candidates:
        found = max(candidates, key=lambda candidate: candidate[0])[1]
        return _as_choice(found, choices) if task == "choice" else found
    if task == "choice":
        letter = stated_choice(text, choices, whole_sentence=True)
        return Extracted(letter, "closing_choice") if letter else NO_ANSWER
    rules: tuple[Callable[[str], Iterator[Found]], ...] = (_whole, _closing)
    return next((found for rule in rules for _, found in rule(text)), NO_ANSWER)


def _as_choice(found: Extracted, choices: Sequence[str] | None) -> Extracted:
    letter = stated_choice(found.answer, choices) if found.answer else None
    return Extracted(letter or found.answer, found.rule)
