"""Where a solution doubts itself, in whatever words, or without any. Called by `checks` and `self_correction`.

Two kinds of evidence, neither of them one phrase: sentences that say so (`said`; interjections, checking again, calling
something wrong, owning up to a slip, in several languages), and steps that take back what stood before (`shown`: the
same calculation with another result, another final answer, step numbers that go back).
"""

from __future__ import annotations

import re
from bisect import bisect_left, insort
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Literal

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
    r"(?<![-+*/×÷−=^%(){}\\$\d.,])(?<![-+*/×÷−=^%(] )"
    r"((?:\d[\d,.]{0,20}[^\S\n]{0,2}[-+*/×÷−x][^\S\n]{0,2}){1,12}\d[\d,.]{0,20})"
    r"[^\S\n]{0,2}=[^\S\n]{0,2}\$?(-?\d[\d,]{0,20}(?:\.\d{1,20})?)(?![^\S\n]{0,2}[-+*/×÷−^%(\d\\]|,\d|\.\d)"
)
_CALCULATOR = re.compile(r"<<[^<>\n]*>>")
_ANSWER_LINE = re.compile(r"(?i)\banswer\b|\\boxed\b|^#### *[\d.,/-]+$")


def find_doubts(text: str) -> list[Doubt]:
    """The doubts of a solution in order; sentences of doubt close together on a line are one."""
    finder = DoubtFinder()
    return sorted([*finder.feed(text), *finder.end()], key=lambda doubt: doubt.start)


class DoubtFinder:
    """Finds the doubts of a text that is still being written, line by line, each line looked at once.

    `feed` and `end` return the doubts that are certain by then. One in words is certain when something else follows it.
    `reason` is the sentence that opens the doubt, or what takes something back.
    """

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._at = 0
        self._open: Doubt | None = None
        self._passed = 0
        self._starts: list[int] = []
        self._claims: dict[tuple[str, str], tuple[int, str]] = {}
        self._highest, self._where = 0, 0

    def feed(self, piece: str) -> list[Doubt]:
        """More of the text."""
        self._parts.append(piece)
        if "\n" not in piece:
            return []
        *lines, rest = "".join(self._parts).split("\n")
        self._parts = [rest]
        return [doubt for line in lines for doubt in self._line(f"{line}\n")]

    def end(self) -> list[Doubt]:
        """There is no more."""
        found = self._line("".join(self._parts))
        self._parts = []
        return [*found, *self._close()]

    def _line(self, line: str) -> list[Doubt]:
        found = [doubt for start, stop in _sentences(line) for doubt in self._sentence(line, start, stop)]
        for before, doubt in sorted(self._taken_back(line), key=lambda pair: pair[1].start):
            # What follows from an earlier doubt, such as another answer, is no doubt of its own.
            at = bisect_left(self._starts, before)
            if at == len(self._starts) or self._starts[at] > doubt.start:
                insort(self._starts, doubt.start)
                found.append(doubt)
        self._at += len(line)
        if self._passed:  # what follows on a doubt on its own line does not on the next
            found += self._close()
        return found

    def _sentence(self, line: str, start: int, stop: int) -> list[Doubt]:
        """A sentence of a line: it opens a doubt, goes on with one, or lets one pass."""
        if not says_doubt(line[start:stop]):
            self._passed += 1
            above = self._open is not None and self._open.stop <= self._at
            return self._close() if above or self._passed > BREATH else []
        doubt = self._doubt(line, start, stop, "said")
        if self._open is not None:
            self._open, self._passed = replace(self._open, stop=doubt.stop), 0
            return []
        self._open, self._passed = doubt, 0
        insort(self._starts, doubt.start)
        return []

    def _close(self) -> list[Doubt]:
        found, self._open, self._passed = self._open, None, 0
        return [] if found is None else [found]

    def _taken_back(self, line: str) -> Iterator[tuple[int, Doubt]]:
        """Every place of a line that takes something back: where that stood, and what takes it back."""
        bare = _CALCULATOR.sub(lambda m: " " * len(m[0]), line)
        for match in _EQUATION.finditer(bare):
            yield from self._claimed("calculation", line, match.start(1), match.end(), _plain(match[1]), match[2])
        for start, part in _lines(line):
            if _ANSWER_LINE.search(part):
                found = extract_answer(part)
                if found.answer and found.rule in ("answer_is", "boxed", "hashes"):
                    yield from self._claimed("answer", line, start, start + len(part), "", found.answer)
        for start, part in _lines(line):
            if label := _LABEL.match(part):
                number = int(label[1])
                if number <= self._highest:
                    yield self._where, self._doubt(line, start, start + len(part), "shown")
                self._highest, self._where = number, self._at + start

    def _claimed(
        self, kind: str, line: str, start: int, stop: int, about: str, value: str
    ) -> Iterator[tuple[int, Doubt]]:
        """A claim about something; an earlier one may have said something else of it."""
        before = self._claims.get((kind, about))
        if before and not _same(before[1], value):
            yield before[0], self._doubt(line, max(0, before[0] + 1 - self._at), stop, "shown")
        self._claims[kind, about] = (self._at + start, value)

    def _doubt(self, line: str, start: int, stop: int, kind: Literal["said", "shown"]) -> Doubt:
        return Doubt(self._at + start, self._at + stop, kind, reason=line[start:stop].strip())


def says_doubt(sentence: str) -> bool:
    """Whether a sentence doubts, in words, what stands before it."""
    if _INTERJECTION.search(sentence) or _AGAIN.search(sentence) or _OWN_SLIP.search(sentence):
        return True
    wrong = _WRONG.search(sentence)
    return wrong is not None and _DENIAL.search(wrong[0]) is not None


def opens_with_doubt(text: str) -> bool:
    """Whether the first sentence or the second of a text doubts."""
    sentences = [text[a:b] for a, b in _sentences(text)][:2]
    return any(says_doubt(sentence) for sentence in sentences)


def _sentences(text: str) -> Iterator[tuple[int, int]]:
    for match in _SENTENCE.finditer(text):
        blank = len(match[0]) - len(match[0].lstrip())
        if match[0].strip():
            yield match.start() + blank, match.end()


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
