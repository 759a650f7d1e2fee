"""Imported attempts into the run folder, each question once with all its attempts.

`prepare_attempts` is called by the CLI and `jobs` after `prepare_questions`; collect then starts at grading.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import groupby, islice
from typing import Any

from lema_ray import arrow
from lema_ray.config import ConfigError, RunConfig
from lema_ray.questions.counts import SplitReport
from lema_ray.questions.imported import read_attempts
from lema_ray.questions.overlap import TestSet
from lema_ray.questions.prepare import prepare_questions
from lema_ray.questions.store import BATCH_ROWS, scratch, writing_records
from lema_ray.records import UNGRADED, Attempt, Dropped, GradedAttempt, GradedQuestion, Question
from lema_ray.runs import RunFolder


@dataclass(slots=True)
class AttemptsReport:
    """What `prepare_attempts` wrote. Rows, duplicates and drops of `train` are attempts; `models` counts them by model.

    `overlapping` counts attempts at questions of the test set.
    """

    train: SplitReport
    test: SplitReport | None
    overlapping: int = 0
    attempts: int = 0
    models: dict[str, int] = field(default_factory=dict)


def prepare_attempts(config: RunConfig, run: RunFolder) -> AttemptsReport:
    """`prepare_questions`, then `questions/attempts/*.parquet`: each question once with all its attempts, ungraded.

    Attempts at questions of `questions.train` take the reference, level and solution from there; others need a
    reference in their own row. `questions/train.parquet` is then replaced by the questions that have attempts.
    Identical attempts of one model are merged. Flat in memory. Raises `QuestionError` as `prepare_questions` and
    `read_attempts` do.
    """
    if config.import_attempts is None:
        raise ConfigError("import_attempts.path: missing; there are no attempts to import")
    # A file of attempts that is also the source of the questions has no solutions of their own to lend.
    lend_solutions = config.questions.train.path != config.import_attempts.path
    report = AttemptsReport(SplitReport(), prepare_questions(config.questions, run, config.seed).test)
    groups = _Groups(run, lend_solutions)
    _collect(config, run, groups, report)
    _write(run, groups, report.train)
    return report


def _collect(config: RunConfig, run: RunFolder, groups: _Groups, report: AttemptsReport) -> None:
    assert config.import_attempts
    exam, train = _test_set(run, report.test is not None), report.train
    with writing_records(run, Dropped, "questions", "dropped_attempts.parquet") as write_dropped:

        def drop(dropped: Dropped) -> None:
            train.rows += 1
            train.drop(dropped.reason)
            write_dropped(dropped)

        for question, attempt in read_attempts(config.import_attempts, groups.known, drop):
            if exam.has(question, attempt.id) and config.questions.overlap == "drop":
                drop(Dropped("questions", attempt.id, "in_test_set", question.text[:200]))
                continue
            train.rows += 1
            if groups.add(question, attempt):
                report.attempts += 1
                report.models[attempt.model] = report.models.get(attempt.model, 0) + 1
            else:
                train.duplicates += 1
        exam.check(config.questions.overlap)
    report.overlapping = exam.overlapping


def _test_set(run: RunFolder, written: bool) -> TestSet:
    exam = TestSet()
    for question in run.read_records(Question, "questions", "test.parquet") if written else ():
        exam.add(question)
    return exam


def _write(run: RunFolder, groups: _Groups, train: SplitReport) -> None:
    run.remove("questions", "attempts")
    rows, part = iter(groups), 0
    with writing_records(run, Question, "questions", "train.parquet") as write_question:
        while batch := list(islice(rows, BATCH_ROWS)):
            run.write_records(batch, GradedQuestion, "questions", "attempts", f"part-{part:06}.parquet")
            for graded in batch:
                train.keep(graded.question)
                write_question(graded.question)
            part += 1


class _Groups:
    """Questions and their attempts in a temporary database, in the order in which they first came."""

    def __init__(self, run: RunFolder, lend_solutions: bool) -> None:
        self._database = scratch()
        self._database.execute("CREATE TABLE known (id TEXT PRIMARY KEY, record TEXT) WITHOUT ROWID")
        self._database.execute("CREATE TABLE questions (id TEXT PRIMARY KEY, place INTEGER, record TEXT) WITHOUT ROWID")
        self._database.execute("CREATE TABLE attempts (id TEXT UNIQUE, question INTEGER, record TEXT)")
        self._places = 0
        for question in run.read_records(Question, "questions", "train.parquet"):
            lent = question if lend_solutions else replace(question, solution=None)
            self._database.execute("INSERT OR IGNORE INTO known VALUES (?, ?)", (question.id, _dump(lent)))

    def known(self, question_id: str) -> Question | None:
        """The training question of that id, as the run's own questions have it."""
        found = self._database.execute("SELECT record FROM known WHERE id = ?", (question_id,)).fetchone()
        return _load(Question, found[0]) if found else None

    def add(self, question: Question, attempt: Attempt) -> bool:
        """Take one attempt in; False when it is there already."""
        place = self._database.execute("SELECT place FROM questions WHERE id = ?", (question.id,)).fetchone()
        if place is None:
            place = (self._places,)
            self._places += 1
            self._database.execute("INSERT INTO questions VALUES (?, ?, ?)", (question.id, *place, _dump(question)))
        row = (attempt.id, *place, _dump(attempt))
        return self._database.execute("INSERT OR IGNORE INTO attempts VALUES (?, ?, ?)", row).rowcount == 1

    def __iter__(self) -> Iterator[GradedQuestion]:
        """Every question with its attempts, ungraded."""
        rows = self._database.execute(
            "SELECT q.record, a.record FROM attempts a JOIN questions q ON q.place = a.question"
            " ORDER BY q.place, a.rowid"
        )
        for question, group in groupby(rows, key=lambda row: row[0]):
            attempts = (_load(Attempt, attempt) for _, attempt in group)
            yield GradedQuestion(_load(Question, question), tuple(GradedAttempt(a, UNGRADED) for a in attempts))


def _dump(record: Any) -> str:
    return json.dumps(arrow.to_row(record))


def _load(record: type[arrow.R], text: str) -> arrow.R:
    return arrow.from_row(record, json.loads(text))
