"""Attempts from a file: each question once, with all of them, ungraded, in the order in which they came."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from lema_ray.config import (
    ConfigError,
    CorrectorConfig,
    ImportConfig,
    QuestionsConfig,
    RunConfig,
    ScriptedSpec,
    SourceConfig,
    StudentConfig,
)
from lema_ray.questions import QuestionError, prepare_attempts, read_attempts
from lema_ray.records import UNGRADED, Dropped, GradedQuestion, Question
from lema_ray.runs import RunFolder


def write(path: Path, rows: Iterable[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def run_config(train: str, attempts: str, **questions: Any) -> RunConfig:
    sources = QuestionsConfig(train=SourceConfig(source="files", path=train), **questions)
    corrector = CorrectorConfig(engine=ScriptedSpec())
    return RunConfig(name="t", questions=sources, import_attempts=ImportConfig(path=attempts), corrector=corrector)


def test_attempts_are_grouped_by_question(tmp_path: Path) -> None:
    train = write(
        tmp_path / "q.jsonl", [{"question": f"Q{n}?", "answer": f"{n}", "solution": f"s{n}"} for n in range(4)]
    )
    attempts = write(
        tmp_path / "a.jsonl",
        [
            {"question": "Q1?", "solution": "first", "model": "m"},
            {"question": "New?", "solution": "9", "reference": "9", "model": "m"},
            {"question": "Q1? ", "solution": "second", "model": "m"},
            {"question": "Q1?", "solution": "first", "model": "m"},
            {"question": "Q1?", "solution": "first", "model": "other"},
            {"question": "Unknown?", "solution": "no reference anywhere"},
            {"question": "Q2?", "solution": " "},
        ],
    )
    run = RunFolder(str(tmp_path / "run"))
    report = prepare_attempts(run_config(train, attempts), run)
    first, new = run.read_records(GradedQuestion, "questions", "attempts")
    assert (first.question.text, first.question.reference, first.question.solution) == ("Q1?", "1", "s1")
    assert [(g.attempt.text, g.attempt.model) for g in first.attempts] == [
        ("first", "m"),
        ("second", "m"),
        ("first", "other"),
    ]
    assert {g.grade for g in first.attempts} == {UNGRADED}
    assert {(g.attempt.origin, g.attempt.finish_reason) for g in first.attempts} == {("imported", "imported")}
    assert len({g.attempt.id for g in first.attempts}) == 3
    assert (new.question.reference, new.question.solution) == ("9", None)
    assert [q.text for q in run.read_records(Question, "questions", "train.parquet")] == ["Q1?", "New?"]
    drops = {
        d.id.rpartition(":")[2]: d.reason for d in run.read_records(Dropped, "questions", "dropped_attempts.parquet")
    }
    assert drops == {"6": "missing_field", "7": "no_solution"}
    counts = json.loads(json.dumps(asdict(report)))
    assert (counts["train"]["rows"], counts["train"]["questions"], counts["train"]["duplicates"]) == (7, 2, 1)
    assert (counts["attempts"], counts["models"]) == (4, {"m": 3, "other": 1})


def test_a_file_of_attempts_lends_no_solutions(tmp_path: Path) -> None:
    """The `solution` column of such a file is a student's, perhaps wrong: it must not become the reference solution."""
    rows = [{"question": "Q?", "solution": "wrong: 3", "reference": "2"}]
    path = write(tmp_path / "a.jsonl", rows)
    run = RunFolder(str(tmp_path / "run"))
    prepare_attempts(run_config(path, path), run)
    (graded,) = run.read_records(GradedQuestion, "questions", "attempts")
    assert (graded.question.solution, graded.attempts[0].attempt.text) == (None, "wrong: 3")


def test_attempts_at_test_questions_are_refused(tmp_path: Path) -> None:
    train = write(tmp_path / "q.jsonl", [{"question": "Q?", "answer": "1"}])
    test = SourceConfig(source="files", path=write(tmp_path / "t.jsonl", [{"question": "Exam?", "answer": "1"}]))
    rows = [{"question": q, "solution": "1", "reference": "1"} for q in ("Q?", "exam")]
    attempts = write(tmp_path / "a.jsonl", rows)
    run = RunFolder(str(tmp_path / "run"))
    with pytest.raises(QuestionError, match="1 training questions are in the test set"):
        prepare_attempts(run_config(train, attempts, test=test), run)
    report = prepare_attempts(run_config(train, attempts, test=test, overlap="drop"), run)
    assert (report.overlapping, report.attempts, report.train.dropped) == (1, 1, {"in_test_set": 1})
    assert report.test is not None and report.test.questions == 1


def test_fields_are_mapped_and_missing_ones_are_said(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", [{"q": "Q?", "gold": "#### 3", "out": "it is 3", "who": "gpt"}])
    fields = {"question": "q", "reference": "gold", "solution": "out", "model": "who"}
    ((question, attempt),) = read_attempts(ImportConfig(path=path, fields=fields))
    assert (question.reference, question.solution, attempt.text, attempt.model) == ("3", None, "it is 3", "gpt")
    with pytest.raises(QuestionError, match=r"no attempts in it.*no field solution.*there are: q, gold, out, who"):
        list(read_attempts(ImportConfig(path=path, fields={"question": "q", "reference": "gold"})))
    with pytest.raises(QuestionError, match="unknown answer; known are question, solution, reference, model"):
        list(read_attempts(ImportConfig(path=path, fields={"answer": "gold"})))
    with pytest.raises(QuestionError, match="the file is empty"):
        list(read_attempts(ImportConfig(path=write(tmp_path / "e.jsonl", []))))


def test_there_must_be_attempts_to_import(tmp_path: Path) -> None:
    config = RunConfig(
        name="t",
        questions=QuestionsConfig(train=SourceConfig(source="gsm8k")),
        students=(StudentConfig(engine=ScriptedSpec()),),
        corrector=CorrectorConfig(engine=ScriptedSpec()),
    )
    with pytest.raises(ConfigError, match="import_attempts"):
        prepare_attempts(config, RunFolder(str(tmp_path)))


@pytest.mark.shared_data
def test_real_model_solutions(shared_data: Path, tmp_path: Path) -> None:
    path = str(shared_data / "gsm8k_model_solutions_a.jsonl")
    run = RunFolder(str(tmp_path))
    config = run_config(str(shared_data / "gsm8k_test_a.jsonl"), path)
    report = prepare_attempts(config, run)
    graded = list(run.read_records(GradedQuestion, "questions", "attempts"))
    assert (report.attempts, len(graded), Counter(len(g.attempts) for g in graded)) == (2640, 660, {4: 660})
    assert all(g.question.solution and "####" not in g.question.solution for g in graded)
    with open(path) as file:
        published = [json.loads(line) for line in file]
    assert {r["solution"].strip() for r in published} == {a.attempt.text for g in graded for a in g.attempts}
    assert {r["reference"] for r in published} == {g.question.reference for g in graded}
