"""The named checks that a correction must pass; each is a predicate whose name is the reason code of a drop.

Recipes call them and record which passed. Stricter than the papers, which look at the final answer only: see
`docs/architecture.md`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence

from lema_ray.grading import grade
from lema_ray.grading.numbers import numbers_in
from lema_ray.records import Grade, Question
from lema_ray.self_correction.doubts import find_doubts

ARGUED_WORDS = 8
"""Words of a step that argues without calculating."""

_LABEL = re.compile(r"(?im)^[ \t]*step\s+\d+\s*[:.)]\s*")
_ANSWER = re.compile(r"(?i)\W*(?:(?:so|thus|therefore|hence)\W+)?(?:the )?(?:final )?answer\b")
_CALCULATES = re.compile(r"=|\\[a-z]+\{|\d\s{0,3}[-+*/×÷^]\s{0,3}\d|\d[^.,\d\n]{1,200}\d")
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n")
_MENTION = re.compile(
    r"(?i)\b(?:reference|provided|official|expected|known|model|sample|given) (?:solution|answer|result)s?\b"
    r"|\banswer key\b|\bpartial solution\b|\b(?:the|this|original|previous|wrong) attempt\b"
    r"|\baccording to the (?:solution|answer|reference)\b"
    r"|\bthe (?:solution|reference) (?:says|states|shows|gives|has)\b"
)
_EXPECTED = re.compile(
    r"(?i)\b(?:correct|right|actual|true|expected|final) (?:final )?(?:answer|result|solution)"
    r" (?:is|should be|must be|equals)\b"
    r"|\bthe answer (?:should|must|has to|needs to) (?:be|equal)\b"
)


async def grade_revision(revision: str, question: Question) -> Grade:
    """The grade of a corrected solution, off the event loop: symbolic comparisons take up to seconds."""
    return await asyncio.to_thread(grade, revision, question.reference, task=question.task, choices=question.choices)


def step_exists(wrong_step: int, steps: Sequence[str]) -> bool:
    """The cited step (0-based) is one of the attempt's steps."""
    return 0 <= wrong_step < len(steps)


def differs(revision: str, attempt: str) -> bool:
    """The revision says something else than the attempt."""
    return plain(revision) != plain(attempt)


def keeps_prefix(kept: Sequence[str], steps: Sequence[str]) -> bool:
    """Steps that the corrector repeated before the wrong one are the attempt's own."""
    return [plain(step) for step in kept] == [plain(step) for step in steps[: len(kept)]]


def mentions_reference(text: str, question: str) -> bool:
    """The text speaks of a solution that it was shown, in words that are not the question's own."""
    found = (match[0].casefold() for match in _MENTION.finditer(text))
    return any(words not in question.casefold() for words in found)


def says_doubt(text: str) -> bool:
    """A sentence of the text doubts, in words, what stands before it."""
    return any(doubt.kind == "said" for doubt in find_doubts(text))


def only_answers(step: str) -> bool:
    """The step states the final answer and works nothing out."""
    text = _LABEL.sub("", step)
    return _ANSWER.match(text.strip()) is not None and not _CALCULATES.search(text)


def states(text: str, reference: str) -> bool:
    """The text has the reference answer's number in it: what was worked out there need not be worked out again."""
    answer = numbers_in(reference)
    return len(answer) == 1 and answer[0] in numbers_in(text)


def asserts_answer(doubt: str, work: Sequence[str], reference: str, known: str) -> bool:
    """The reference answer is stated where it should have been worked out.

    So it is when no step of the work calculates or argues anything, when the doubt says what the right answer is, or
    when a sentence before any calculation names the answer, which is not in what is `known`, and no other number.
    """
    unlabelled = (_LABEL.sub("", step) for step in work)
    steps = [step for step in unlabelled if not _ANSWER.match(step)]
    if not any(_CALCULATES.search(step) or len(step.split()) >= ARGUED_WORDS for step in steps):
        return True
    if _EXPECTED.search(doubt):
        return True
    answer = numbers_in(reference)
    for sentence in _SENTENCE.split("\n".join((doubt, *steps))):
        if _CALCULATES.search(sentence):
            return False
        if len(answer) == 1 and numbers_in(sentence) == answer and not states(known, reference):
            return True
    return False


def plain(text: str) -> str:
    """Text without step labels, white space and case, for comparison."""
    unlabelled = _LABEL.sub("", text)
    return re.sub(r"\s+", "", unlabelled).casefold()
