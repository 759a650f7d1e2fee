"""Grounded mistake augmentation (LEMMA, arXiv 2503.17439, section 3): mistakes made on purpose, of types that occur.

A type is drawn from a mixture of the question's own analysed mistakes and the data set's; a stronger model then writes
a solution as a careless student would. It stays only when its answer is really wrong, it does not give itself away, and
an independent analysis finds the wrong step where the writer says it is. Used by `lemma` and `critique`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

from lema_ray import checks
from lema_ray.engines import Generate
from lema_ray.mistakes.analysis import Analyzer
from lema_ray.mistakes.taxonomy import ErrorType
from lema_ray.recipes.asking import ask, made_attempt
from lema_ray.recipes.careless import LABELS, SCHEMA, injection_prompt, type_shares
from lema_ray.recipes.options import InjectOptions
from lema_ray.recipes.recipe import Rejected
from lema_ray.records import (
    Analysis,
    Completion,
    Dropped,
    Grade,
    GradedAttempt,
    GradedQuestion,
    Question,
    content_id,
)
from lema_ray.replies import read_fields
from lema_ray.steps import split_steps

STAGE = "injection"
Injected = tuple[GradedAttempt | None, Analysis | None, Dropped | None]
"""A new attempt, its analysis, and what was dropped on the way."""


@dataclass(frozen=True, slots=True)
class Written:
    """A wrong solution as it was written: the type it was asked for, and the wrong step (0-based) it claims."""

    made: GradedAttempt
    error_type: str
    wrong_step: int


@dataclass(frozen=True)
class Injector:
    """Makes mistakes on purpose."""

    options: InjectOptions
    analyzer: Analyzer

    async def inject(
        self, graded: GradedQuestion, count: int, own: Sequence[str], corrector: Generate
    ) -> list[Injected]:
        """At most `count` new mistakes for a question whose own mistakes are of the types `own`."""
        taxonomy, question = self.analyzer.taxonomy, graded.question
        prior = self.options.prior or taxonomy.prior(question.task)
        shares = type_shares(own, prior, self.options.dataset_weight, taxonomy)
        if not shares:
            return []
        drawn = Random(content_id(STAGE, question.id)).choices(list(shares), list(shares.values()), k=count)
        written = await asyncio.gather(*(self._write(question, taxonomy[c], k, corrector) for k, c in enumerate(drawn)))
        known, new, failed = {_words(g.attempt.text) for g in graded.attempts}, list[Written](), list[Injected]()
        for one in written:
            if isinstance(one, Dropped):
                failed.append((None, None, one))
            elif (words := _words(one.made.attempt.text)) in known:
                failed.append((one.made, None, Dropped(STAGE, one.made.attempt.id, "duplicate")))
            else:
                known.add(words)
                new.append(one)
        return [*await asyncio.gather(*(self._locate(question, one, corrector) for one in new)), *failed]

    async def _write(self, question: Question, kind: ErrorType, k: int, corrector: Generate) -> Written | Dropped:
        """A solution that is really wrong, or why there is none."""
        attempt_id = f"{question.id}/injected{k}"
        sampling = replace(self.options.inject_sampling.seeded(STAGE, attempt_id), json_schema=SCHEMA)

        async def read(reply: Completion) -> tuple[str, int, Grade]:
            text, wrong = _read(reply)
            return text, wrong, await _wrong_grade(text, question)

        made = await ask(corrector, injection_prompt(question, kind), sampling, STAGE, attempt_id, read)
        if isinstance(made, Dropped):
            return made
        (text, wrong, grade), reply = made
        return Written(made_attempt(attempt_id, text, "injected", grade, sampling, reply), kind.code, wrong)

    async def _locate(self, question: Question, one: Written, corrector: Generate) -> Injected:
        """The mistake with an analysis that agrees on its step; else the analysis and a drop."""
        attempt = one.made.attempt
        found = await self.analyzer.analyze(question, attempt.id, split_steps(attempt.text), corrector)
        if isinstance(found, Dropped):
            return one.made, None, found
        if found.wrong_step != one.wrong_step:
            detail = f"written in step {one.wrong_step + 1}, found in step {found.wrong_step + 1}"
            return one.made, found, Dropped(STAGE, attempt.id, "step_disagrees", detail)
        return one.made, replace(found, error_type=one.error_type), None


def _read(reply: Completion) -> tuple[str, int]:
    """The solution of a reply and the index of its wrong step. Raises `Rejected`."""
    fields = read_fields(reply.text, LABELS)
    number, text = re.search(r"\d+", fields.get("wrong_step", "")), fields.get("solution", "")
    if number is None or not text:
        raise Rejected("unreadable_reply")
    if not checks.step_exists(int(number[0]) - 1, split_steps(text)):
        raise Rejected("bad_step")
    return text, int(number[0]) - 1


async def _wrong_grade(text: str, question: Question) -> Grade:
    """The grade of a solution that is wrong and does not say so. Raises `Rejected`."""
    if checks.says_doubt(text):
        raise Rejected("gives_itself_away")
    grade = await checks.grade_revision(text, question)
    if grade.verdict != "wrong":
        raise Rejected("not_wrong" if grade.verdict == "right" else "unsure_answer")
    return grade


def _words(text: str) -> str:
    return " ".join(text.split())
