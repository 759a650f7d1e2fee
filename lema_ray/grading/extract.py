"""Finding the one final answer in a solution: the last one that the text states explicitly, or none.

Called by `grade` and `GradingPool`; also useful alone, e.g. to vote. Explicit marks (`<answer>`, `\\boxed{}`, `####`,
"the answer is") beat guesses from the closing sentence (`last_math`, `last_number`), which carry nearly all errors.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from lema_ray.grading.boxes import last_box
from lema_ray.grading.choices import choice_letter, stated_choice
from lema_ray.grading.clean import clean
from lema_ray.grading.lists import read_list
from lema_ray.grading.numbers import NUMBER, near_miss, read_number
from lema_ray.grading.spelling import normalise, without_unit
from lema_ray.grading.times import read_compound, read_time
from lema_ray.records import Task

MAX_ANSWER = 1_500
"""Characters of a final answer; what is longer is no answer."""
MAX_PHRASES = 20
"""How many "the answer is" are looked at, from the last one back."""

_JSON = re.compile(r"""["'](?:final_)?answer["']\s*:\s*(?:"((?:[^"\\]|\\.)*)"|'([^'\n]*)'|(-?[\d.,]+))""", re.I)
_TAG = re.compile(r"<(?:final_)?answer>((?:(?!<(?:final_)?answer>).)*?)</(?:final_)?answer>", re.I | re.S)
_HASHES = re.compile(r"####[ \t]*([^\n]*)")
_PHRASE = re.compile(
    r"""(?: \b(?:answer|respuesta|réponse|antwort|jibu|resposta|risposta|antwoord|odpowiedź|cevap|đáp\s+án)
              (?:\s+(?:final|finale|correcta?|to\ [^.:\n]{1,80}))?
            [*_"\s]* (?: \s(?:is|are|(?:would|must|will|should)\ be|equals|es|est|ist|lautet|ni|é|è|là)\b[*_]*\s*:?
                       | [:=] | \s-(?=\s) )
          | \b(?:correct(?:ed)?|right|final)\s+(?:value|result|total|number|amount|count)\s+(?:is|are|should\s+be|:|=)
          | \bit\s+should\s+(?:actually\s+|really\s+)?(?:be|have\s+been)\b
          | \bans(?:wer)?\s*[.:=]
          | \b(?:correct\s+)(?:answer|option|choice)\s+(?:is\s+)?(?=[*(]*[A-J]\b)
          | (?:^|\n)[ \t]*(?:\#{1,6}|\*\*)[ \t]*(?:final\s+)?answer[ \t*:]*(?=\n)
          | \bответ(?:\s+равен)?\s*[:=-]? | (?:最终)?答案(?:是|为|：|:)+ | 答え(?:は|:)+ | (?<!\w)答[：:]
          | 정답은 | 답(?:은|:) | الإجابة(?:\s+النهائية)?\s*(?:هي|:) | उत्तर\s*(?:है|:)?
          | คำตอบ(?:คือ|:)* | উত্তর(?:টি)?\s*(?:হলো|হল|:)? | సమాధానం\s*[:=]? )""",
    re.X | re.I,
)  # fmt: skip
_STEM_WORDS = (
    "answer ans: ans. ans= respuesta réponse antwort jibu resposta risposta antwoord odpowiedź cevap đáp correct right "
    "final should ответ 答 답 الإجابة उत्तर คำตอบ উত্তর సమాధానం"
)
_STEMS = _STEM_WORDS.split()
_SENTENCE_END = re.compile(r"(?<![\\.])(?<!\bRs)(?<!\bapprox)(?:[.?]|(?<![\d)])!|!(?=[ \t]*\S))(?=[\s*\"')]|$)|\n|$")
_CONTRAST = re.compile(
    r",?\s+(?:not|rather than|instead of|as opposed to)\s.*$|,?\s+(?:because|since|which|as\s+(?:we|the|it))\s.*$"
    r"|,\s+(?:so|but|though|although|where|while)\s.*$",
    re.S | re.I,
)
_DISPLAY = re.compile(r"\s*[*_]*(?:\\\[(.+?)\\\]|\$\$(.+?)\$\$|\\\((.+?)\\\)|\$([^$\n]+?)\$)", re.S)
_SAMPLE_LINE = re.compile(r"(?:^|\n)A:[ \t]*([^\n]+)$")
_MATHS = re.compile(
    r"\$\$(.+?)\$\$|\$(?![A-Za-z]\$)([^$\n]+)\$(?![\d<])|\\\((?![A-Za-z]\\\))(.+?)\\\)|\\\[(.+?)\\\]", re.S
)
_CLOSED = re.compile(r"(?:[.!?]|(?<=[\w})\]])\$|\\\)|\\\])[\s*\"')]*$")
_UNFINISHED = re.compile(r"(?:[-=+*/^]|\\times|\\cdot)\s*$")
_ARGUES = re.compile(
    r"(?i:also|then|obviously|therefore|not|correct|wrong|right|clear|given|found|as|in)\b|an?\s+[a-z]"
)
_REFUSES = re.compile(r"\b(?:sorry|cannot|can't|unable|don't know|not sure|unclear)\b", re.I)
_LABELLED = re.compile(r"(?!step|case|question|problem|part)[A-Z][A-Za-z ]{1,40}[:=]\s*([-$€£¥]{0,2}\d[\d.,]*%?)", re.I)
_CLOCK = re.compile(r"\d{1,2}:[0-5]\d(?:\s*[ap]\.?m\b\.?)?", re.I)
_DENIED = re.compile(r"(?:\bnot|n't|\bnever)\b\s*(?:\w+\s*)?[$(]*$", re.I)
_LAST_SENTENCE = re.compile(r"(?:.*(?:(?<!\\)[.!?]\s|\n))?\s*(\S.*)$", re.S)
_ENDS_IN_DISPLAY = re.compile(r"(?:\\\[((?:(?!\\\[).)+?)\\\]|\$\$((?:(?!\$\$).)+?)\$\$)[\s.*]*$", re.S)
_FILLED = re.compile(r"[^\W_]|[∅∞ℝ]|\\[{}]")
_EMPHASIS = re.compile(r"(?<=\w)\*\*(?=\s)")
_RETRACTION = re.compile(r"\b(?:wait|oops|actually|correction|mistake|error|sorry|no,|should|instead)\b", re.I)
_SPEAKER = re.compile(r"(?:I|we|you|it|let|so|sorry|unknown|cannot)\b", re.I)
_SPOKEN = re.compile(r"(?<![\\A-Za-z{])[A-Za-z]{2,}\s+[\w$]")
_FUNCTION = re.compile(r"sqrt|sin|cos|tan|log")
_PROSE = re.compile(r"(?<![\\{\w])[a-z]{3,}(?![\w}])", re.I)


@dataclass(frozen=True, slots=True)
class Extracted:
    """The final answer as the text states it, None when there is none, and the rule that found it."""

    answer: str | None
    rule: str


NO_ANSWER = Extracted(None, "no_answer")
Found = tuple[int, Extracted]


def _trim(answer: str) -> str:
    answer = _EMPHASIS.sub("", answer.strip().strip("*_`\"'").strip())
    bare = answer.rstrip(",; \t\n")
    answer = answer[: len(bare) + 1] if bare.endswith("\\") else bare  # `7\;` ends in a space, not in a list
    dots = len(answer) - len(answer.rstrip("."))
    return answer[:-1].rstrip() if dots in (1, 4) or answer.endswith(":") else answer  # 0.333...


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


def _said(text: str) -> Iterator[re.Match[str]]:
    """Where "the answer is" and the like stand, from the last one back. Looks only around their stems: it is fast."""
    low = text.lower()
    stems = sorted({at for stem in _STEMS for at in _places(low, stem)}, reverse=True) if len(low) == len(text) else [0]
    seen = len(text) + 1
    for at in stems[: 4 * MAX_PHRASES]:
        found = list(_PHRASE.finditer(text, max(0, at - 30), at + 200 if len(low) == len(text) else len(text)))
        for match in reversed(found):
            if match.start() < seen:
                seen = match.start()
                yield match


def _places(text: str, stem: str) -> Iterator[int]:
    at = text.rfind(stem)
    for _ in range(MAX_PHRASES):
        if at < 0:
            return
        yield at
        at = text.rfind(stem, 0, at)


def _phrases(text: str, strict: bool = True) -> Iterator[Found]:
    """What stands after the last "the answer is". Unless `strict`, also what may be an argument ("a prime number")."""
    for match in _said(text):
        answer = _sentence(text, match.end())
        found = list(_found(match.start(), answer, "answer_is"))
        if not found or _PHRASE.search(answer):
            continue
        final = (found[0][1].answer or "").lstrip("$ ")
        if _looks_final(final) or (not strict and re.match(r"an?\s", final) and len(_PROSE.findall(final)) <= 3):
            yield found[0]
            return


def _explicit(text: str) -> Iterator[Found]:
    """Every explicit mark's last answer, with where it stands."""
    end = text.lower().rfind("answer>")
    if end >= 0 and (tag := _last(_TAG, text[max(0, end - 2 * MAX_ANSWER) : end + len("answer>")])):
        yield from _found(max(0, end - 2 * MAX_ANSWER) + tag.start(), tag[1], "answer_tag")
    if "nswer" in text and (field := _last(_JSON, text)):
        value = next(group for group in field.groups() if group is not None).replace("\\\\", "\\")
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
    if sentence is None or _REFUSES.search(sentence[1]):
        return
    if not _CLOSED.search(text):
        if labelled := _LABELLED.fullmatch(sentence[1].strip()):
            yield from _found(0, labelled[1], "last_number")
        return
    maths = _last(_MATHS, sentence[1])
    tail = sentence[1][maths.end() :] if maths else sentence[1].rpartition("=")[2]
    numbers = list(NUMBER.finditer(tail)) or ([] if maths else list(NUMBER.finditer(sentence[1])))
    if numbers and _DENIED.search(numbers[-1].string[: numbers[-1].start()][-20:]):
        return
    if numbers:
        clock = _last(_CLOCK, sentence[1])
        whole = clock[0] if clock and clock[0].split(":")[1][:2] == numbers[-1][0].strip() else numbers[-1][0]
        yield from _found(0, whole, "last_number")
    elif maths:
        yield from _found(0, next(group for group in maths.groups() if group), "last_math")


def _whole(text: str) -> Iterator[Found]:
    """A text that is nothing but an answer: a value, or a word or two."""
    if len(text) > 100 or "\n" in text or text.endswith(":") or _PHRASE.search(text) or text.startswith("\\["):
        return
    plain = normalise(text)
    bare = normalise(without_unit(text)[0])
    words = len(_PROSE.findall(_FUNCTION.sub("", bare)))
    named = words <= 2 and len(plain.split()) <= 3 and not re.search(r"\d", plain) and not _SPEAKER.match(plain)
    if (words == 0 and not _SPOKEN.search(bare)) or _is_value(plain) or named:
        yield from _found(0, text.strip("$"), "whole_text")


def _is_value(text: str) -> bool:
    if read_number(text) or read_compound(text) or read_time(text) or choice_letter(text):
        return True
    if re.fullmatch(r"\d+ to \d+", text):
        return True
    listed = read_list(text)
    return listed is not None and not any(_PROSE.search(member) for member in listed.members)


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
    if loose := next(_phrases(text, strict=False), None):
        return loose[1]
    if task == "choice":
        letter = stated_choice(text, choices, whole_sentence=True)
        return Extracted(letter, "closing_choice") if letter else NO_ANSWER
    rules: tuple[Callable[[str], Iterator[Found]], ...] = (_whole, _closing)
    return next((found for rule in rules for _, found in rule(text)), NO_ANSWER)


def _as_choice(found: Extracted, choices: Sequence[str] | None) -> Extracted:
    letter = stated_choice(found.answer, choices) if found.answer else None
    return Extracted(letter or found.answer, found.rule)


def mentions(text: str, reference: str) -> bool:
    """Whether the end of a solution without a final answer has the reference in it: such a text is no sure mistake."""
    end, wanted = clean(text)[-400:], normalise(reference)
    number = read_number(wanted)
    if number is not None:
        said = (read_number(match[0]) for match in NUMBER.finditer(end))
        return any(n.value == number.value or near_miss(n, number) is not None for n in said if n)
    return len(wanted) > 1 and wanted.replace(" ", "") in normalise(end).replace(" ", "")


def retracts(text: str, answer: str | None, reference: str) -> bool:
    """Whether a solution corrects its answer in passing ("oops, so it's 24"), and may have meant the reference."""
    if answer is None:
        return False
    after = text[-2_000:].rpartition(answer)[2]
    return _RETRACTION.search(after) is not None and mentions(after, reference)
