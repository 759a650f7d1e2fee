"""Where a solution doubts itself, in whatever words, or without any. Called by `checks` and `self_correction`.

Two kinds of evidence, neither of them one phrase: sentences that say so (`said`; interjections, checking again, calling
something wrong, owning up to a slip, in several languages), and steps that take back what stood before (`shown`: the
same calculation with another result, another final answer, step numbers that go back).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from fractions import Fraction

from lema_ray.grading import extract_answer
from lema_ray.grading.numbers import numbers_in
from lema_ray.records import Doubt

ALMOST = Fraction(1, 100)
"""Two roundings of one result differ by less."""
BREATH = 3
"""Sentences on one line that may stand between two sentences of one doubt."""

_SENTENCE = re.compile(r"[^\n.!?。！？]*(?:\.(?=\d)[^\n.!?。！？]*)*(?:[.!?。！？]+[\"')\]*]*|\n|$)")
_LABEL = re.compile(r"\s*(?:[*_#>-]+\s*)?step\s+(\d{1,6})\s{0,3}[*_]{0,3}\s{0,3}[:.)]", re.I)
_LEAD = r"^\W*(?:step\s+\d+\W+)?(?:(?:but|and|so|oh|ah|okay|ok|now|well|then|yet)\b[\s,]*)*"
_INTERJECTION = re.compile(
    _LEAD
    + r"(?:(?:wait|hmm+|hm|oops|whoops|uh[- ]oh|hold on|hang on|scratch that|correction|on second thought|not so fast"
    r"|espera|attends|attendez|moment mal|warte|halt|постойте|подожди\w*|aspetta|um momento|subiri)"
    r"(?=\s*(?:[,.!?:;…–—-]|$))"
    r"|wait a (?:moment|minute|second)|(?:no|actually)\s*[,:–—-]+\s*(?:that|this|it|i|the|wait|let)\b"
    r"|等等|等一下|不对|稍等|ちょっと待って|待って|รอเดี๋ยว)",
    re.I,
)
_AGAIN = re.compile(
    r"\b(?:let me|let's|let us|i(?:'ll| will| should| need to| have to| want to| must| had better)|better|going to)\s+"
    r"(?:\w+\s+){0,2}?(?:re-?\s?(?:check|consider|examine|think|do|calculate|compute|read|trace|visit|work|evaluate)\w*"
    r"|double[- ]check|check (?:that|this|it|my|the|again)|verify|look (?:at (?:that|this|it) )?again"
    r"|start (?:over|again|afresh|anew)"
    r"|go (?:back|over)|go through (?:that|this|it) again|try (?:again|another|a different)|begin again|think again"
    r"|(?:do|solve|count|work|approach) (?:that|this|it) (?:again|differently|another way|from scratch)"
    r"|take another (?:look|way))",
    re.I,
)
_WRONG = re.compile(
    r"\b(?:that|this|it|my|the (?:last|previous|above|earlier|result|calculation|answer|step))\b[^.\n]{0,40}?"
    r"(?:\b(?:is|was|were|looks?|seems?|sounds?|feels?|can(?:not|'t) be|isn't|wasn't|doesn't|does not|can't)\b)"
    r"[^.\n]{0,25}?"
    r"\b(?:wrong|incorrect|mistaken|not (?:right|correct)|right|add up|make sense|mistake|error|slip)\b"
    r"|\bsomething (?:is|seems|feels|looks|went|'s)[^.\n]{0,12}\b(?:wrong|off|amiss|odd)\b"
    r"|\b(?:is|looks?|seems?|was) (?:a (?:bit|little) |slightly |way |quite )?off\b(?! (?:from|of|the|for|by|on)\b)"
    r"|\b(?:not|isn't|wasn't|cannot be|can't be) (?:quite |really |at all )?(?:right|correct)\b",
    re.I,
)
_DENIAL = re.compile(r"\b(?:not|n't|cannot|wrong|off|incorrect|mistaken|mistake|error|slip|amiss|odd)\b|n't\b", re.I)
_OWN_SLIP = re.compile(
    r"\bI(?:'ve| have| seem to have| must have| think I| may have| might have)?\s+(?:\w+ly\s+)?(?:just\s+)?"
    r"(?:made (?:a|an|some)\b[^.\n]{0,20}\b(?:mistake|error|slip)|mis\w+|overlook\w*|forgot\w*|left out|mixed up"
    r"|confused|should have|should not have|skipped|messed up|slipped|went wrong|got (?:that|this|it) wrong"
    r"|used the wrong"
    r"|(?:see|notice|spot|found|realise|realize)\w*\b[^.\n]{0,30}\b(?:mistake|error|slip|wrong))",
    re.I,
)
# Every repetition is bounded: model text may be anything, and an unbounded one would take quadratic time.
_EQUATION = re.compile(
    r"(?<![-+*/×÷−=^%(){}\\$\d.,])(?<![-+*/×÷−=^%(] )((?:\d[\d,.]{0,20}\s{0,2}[-+*/×÷−x]\s{0,2}){1,12}\d[\d,.]{0,20})"
    r"\s{0,2}=\s{0,2}\$?(-?\d[\d,]{0,20}(?:\.\d{1,20})?)(?!\s{0,2}[-+*/×÷−^%(\d\\]|,\d|\.\d)"
)
_CALCULATOR = re.compile(r"<<[^<>]*>>")
_ANSWER_LINE = re.compile(r"(?i)\banswer\b|\\boxed\b|^#### *[\d.,/-]+$")


def find_doubts(text: str) -> list[Doubt]:
    """The doubts of a solution in order; sentences of doubt close together on a line are one."""
    said: list[Doubt] = []
    for start, stop in _sentences(text):
        if not says_doubt(text[start:stop]):
            continue
        if said and _one_breath(text[said[-1].stop : start]):
            said[-1] = Doubt(said[-1].start, stop, "said")
        else:
            said.append(Doubt(start, stop, "said"))
    found = list(said)
    for before, doubt in sorted(_taken_back(text), key=lambda pair: pair[1].start):
        # What follows from an earlier doubt, such as another answer, is no doubt of its own.
        if not any(before <= earlier.start <= doubt.start for earlier in found):
            found.append(doubt)
    return sorted(found, key=lambda doubt: doubt.start)


def says_doubt(sentence: str) -> bool:
    """Whether a sentence doubts, in words, what stands before it."""
    if _INTERJECTION.search(sentence) or _AGAIN.search(sentence) or _OWN_SLIP.search(sentence):
        return True
    wrong = _WRONG.search(sentence)
    return wrong is not None and _DENIAL.search(wrong[0]) is not None


def _one_breath(between: str) -> bool:
    """Whether what lies between two sentences of doubt is nothing, or little on the same line: what is wrong."""
    return not between.strip() or ("\n" not in between and len(list(_sentences(between))) <= BREATH)


def opens_with_doubt(text: str) -> bool:
    """Whether the first sentence or the second of a text doubts."""
    sentences = [text[a:b] for a, b in _sentences(text)][:2]
    return any(says_doubt(sentence) for sentence in sentences)


def _sentences(text: str) -> Iterator[tuple[int, int]]:
    for match in _SENTENCE.finditer(text):
        blank = len(match[0]) - len(match[0].lstrip())
        if match[0].strip():
            yield match.start() + blank, match.end()


def _taken_back(text: str) -> Iterator[tuple[int, Doubt]]:
    """Every place that takes something back: where that stood, and the line that takes it back."""
    bare = _CALCULATOR.sub(lambda m: " " * len(m[0]), text)
    yield from _contradicted(text, ((m.start(1), m.end(), _plain(m[1]), m[2]) for m in _EQUATION.finditer(bare)))
    yield from _contradicted(text, _answers(text))
    highest, where = 0, 0
    for start, line in _lines(text):
        if label := _LABEL.match(line):
            number = int(label[1])
            if number <= highest:
                yield where, Doubt(start, start + len(line), "shown")
            highest, where = number, start


def _answers(text: str) -> Iterator[tuple[int, int, str, str]]:
    for start, line in _lines(text):
        if _ANSWER_LINE.search(line):
            found = extract_answer(line)
            if found.answer and found.rule in ("answer_is", "boxed", "hashes"):
                yield start, start + len(line), "answer", found.answer


def _contradicted(text: str, claims: Iterable[tuple[int, int, str, str]]) -> Iterator[tuple[int, Doubt]]:
    """Claims are (start, stop, what it is about, what it says of that); an earlier one said something else."""
    said: dict[str, tuple[int, str]] = {}
    for start, stop, about, value in claims:
        before = said.get(about)
        if before and not _same(before[1], value):
            line = text.rfind("\n", 0, start) + 1
            yield before[0], Doubt(max(line, before[0] + 1), stop, "shown")
        said[about] = (start, value)


def _same(one: str, other: str) -> bool:
    numbers = [next(iter(numbers_in(text)), None) for text in (one, other)]
    if numbers[0] is None or numbers[1] is None:
        return _plain(one) == _plain(other)
    return abs(numbers[0] - numbers[1]) <= ALMOST


def _lines(text: str) -> Iterator[tuple[int, str]]:
    start = 0
    for line in text.splitlines(keepends=True):
        yield start, line
        start += len(line)


def _plain(text: str) -> str:
    return re.sub(r"[\s,$*{}\\]", "", text).rstrip(".").casefold().replace("×", "*").replace("−", "-")
