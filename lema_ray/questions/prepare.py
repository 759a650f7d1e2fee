"""Streams the train and test questions of a config into the run folder. Called by the CLI and `jobs` before collect."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

from lema_ray.config import QuestionsConfig
from lema_ray.questions.counts import SplitReport
from lema_ray.questions.errors import QuestionError
from lema_ray.questions.overlap import TestSet
from lema_ray.questions.read import Found, read_questions
from lema_ray.questions.store import SeenQuestions, Write, writing_records
from lema_ray.records import Dropped, Question
from lema_ray.runs import RunFolder


@dataclass(frozen=True, slots=True)
class QuestionsReport:
    """What `prepare_questions` wrote. `overlapping` counts training questions that are in the test set."""

    train: SplitReport
    test: SplitReport | None
    overlapping: int


def prepare_questions(config: QuestionsConfig, run: RunFolder, seed: int = 0) -> QuestionsReport:
    """Write `questions/train.parquet`, `test.parquet` and `dropped.parquet`, all of them or none; flat in memory.

    Duplicates are merged: the first one stays. `seed` shifts the generators' own seeds. Raises `QuestionError` when a
    source cannot be used, or when train and test overlap and `config.overlap` is `refuse`.
    """
    exam, test, train = TestSet(), None, SplitReport()
    with ExitStack() as stack:
        drop = stack.enter_context(writing_records(run, Dropped, "questions", "dropped.parquet"))
        if config.test:
            write = stack.enter_context(writing_records(run, Question, "questions", "test.parquet"))
            test = SplitReport()
            for _, question in _new_questions(read_questions(config.test, seed), test, drop):
                exam.add(question)
                test.keep(question)
                write(question)
        write = stack.enter_context(writing_records(run, Question, "questions", "train.parquet"))
        for where, question in _new_questions(read_questions(config.train, seed), train, drop):
            if test and exam.has(question, where) and config.overlap == "drop":
                train.drop("in_test_set")
                drop(Dropped("questions", where, "in_test_set", question.text[:200]))
                continue
            train.keep(question)
            write(question)
        exam.check(config.overlap)
        if train.questions == 0:
            raise QuestionError("no training question is left: every one of them is in the test set")
    return QuestionsReport(train, test, exam.overlapping)


def _new_questions(found: Iterator[Found], report: SplitReport, drop: Write) -> Iterator[tuple[str, Question]]:
    """The questions that come by for the first time; what else comes by is counted and told."""
    seen = SeenQuestions()
    for where, item in found:
        report.rows += 1
        if isinstance(item, Dropped):
            report.drop(item.reason)
            drop(item)
            continue
        known = seen.add(item.id, item.reference)
        if known is None:
            yield where, item
            continue
        report.duplicates += 1
        if known != item.reference:
            report.conflicting += 1
            detail = f"the reference is {item.reference[:80]!r}, but was {known[:80]!r} the first time"
            drop(Dropped("questions", where, "conflicting_duplicate", detail))
