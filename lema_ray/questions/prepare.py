"""Streams the train and test questions of a config into the run folder. Called by the CLI and `jobs` before collect."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

from lema_ray.config import QuestionsConfig
from lema_ray.grading import grade
from lema_ray.questions.conversations import CONVERSATIONS
from lema_ray.questions.counts import SplitReport
from lema_ray.questions.decisions import Decision, decided, read_decisions
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

    Duplicates are merged: the first one stays; one with another reference is refused unless `config.conflicts` is
    `drop`. What was decided in review is applied, and references that the grader cannot read are dropped. `seed`
    shifts the generators' own seeds. Raises `QuestionError` when a source cannot be used, or when train and test
    overlap and `config.overlap` is `refuse`, or for training questions that are asked in a conversation.
    """
    if config.train.source in CONVERSATIONS:
        raise QuestionError(
            f"questions.train: {config.train.source} is to examine models with; name it in questions.test"
        )
    exam, test, train = TestSet(), None, SplitReport()
    decisions = read_decisions(config.reviewed)
    with ExitStack() as stack:
        drop = stack.enter_context(writing_records(run, Dropped, "questions", "dropped.parquet"))
        if config.test:
            write = stack.enter_context(writing_records(run, Question, "questions", "test.parquet"))
            test = SplitReport()
            incoming = _Incoming(test, drop, decisions)
            for _, question in incoming(read_questions(config.test, seed)):
                exam.add(question)
                test.keep(question)
                write(question)
            incoming.check(config.conflicts == "drop")
        write = stack.enter_context(writing_records(run, Question, "questions", "train.parquet"))
        incoming = _Incoming(train, drop, decisions)
        for where, question in incoming(read_questions(config.train, seed)):
            if test and exam.has(question, where) and config.overlap == "drop":
                train.drop("in_test_set")
                drop(Dropped("questions", where, "in_test_set", question.text[:200]))
                continue
            train.keep(question)
            write(question)
        incoming.check(config.conflicts == "drop")
        exam.check(config.overlap)
        if train.questions == 0:
            raise QuestionError("no training question is left: every one of them is in the test set")
    return QuestionsReport(train, test, exam.overlapping)


class _Incoming:
    """The questions of a source that come by for the first time; what else comes by is counted and told."""

    def __init__(self, report: SplitReport, drop: Write, decisions: dict[str, Decision]) -> None:
        self._report, self._drop, self._decisions = report, drop, decisions
        self.conflicts: list[str] = []

    def __call__(self, found: Iterator[Found]) -> Iterator[tuple[str, Question]]:
        seen = SeenQuestions()
        for where, item in found:
            self._report.rows += 1
            item = item if isinstance(item, Dropped) else _readable(decided(item, where, self._decisions), where)
            if isinstance(item, Dropped):
                self._report.drop(item.reason)
                self._drop(item)
                continue
            known = seen.add(item.id, item.reference)
            if known is None:
                yield where, item
                continue
            self._report.duplicates += 1
            if known != item.reference and grade(f"\\boxed{{{item.reference}}}", known).verdict != "right":
                self._conflict(where, item, known)

    def _conflict(self, where: str, question: Question, known: str) -> None:
        self._report.conflicting += 1
        detail = f"the reference is {question.reference[:80]!r}, but was {known[:80]!r} the first time"
        self._drop(Dropped("questions", where, "conflicting_duplicate", detail))
        if len(self.conflicts) < 20:
            self.conflicts.append(f"{where}: {detail}")

    def check(self, allowed: bool) -> None:
        """Raise `QuestionError` with the conflicts when they are refused."""
        if self.conflicts and not allowed:
            raise QuestionError(
                f"{self._report.conflicting} questions come again with another reference; correct them, or set "
                "questions.conflicts: drop to keep the first of each\n  " + "\n  ".join(self.conflicts)
            )


def _readable(question: Question | Dropped, where: str) -> Question | Dropped:
    """A question that the grader can judge: its reference, as an answer, is right."""
    if isinstance(question, Dropped):
        return question
    if question.task == "code":  # its tests were read when it was made; what passes them is not known
        return question
    if grade(f"\\boxed{{{question.reference}}}", question.reference, task=question.task).verdict == "right":
        return question
    return Dropped("questions", where, "unreadable_reference", question.reference[:200])
