"""What lands in the run folder: merged duplicates, no overlap, drops with reasons, and memory that stays flat."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from lema_ray.config import QuestionsConfig, SourceConfig
from lema_ray.questions import Mismatch, QuestionError, check_source, prepare_questions
from lema_ray.questions.overlap import loose_id
from lema_ray.records import Dropped, Grade, Question, content_id
from lema_ray.runs import RunFolder


def write(path: Path, rows: Iterable[dict[str, Any]]) -> SourceConfig:
    with path.open("w") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    return SourceConfig(source="files", path=str(path))


def row(question: str, answer: object = "1", **more: object) -> dict[str, Any]:
    return {"question": question, "answer": answer, **more}


def texts(run: RunFolder, split: str) -> list[str]:
    return [q.text for q in run.read_records(Question, "questions", f"{split}.parquet")]


def test_duplicates_are_merged_and_everything_is_counted(tmp_path: Path) -> None:
    train = write(
        tmp_path / "a.jsonl",
        [row("One?", level=1), row("One?  "), row("One?", "2"), row(""), row("Two?", level=2), row("Three?", level=1)],
    )
    test = write(tmp_path / "b.jsonl", [row("Exam?"), row("Exam?")])
    run = RunFolder(str(tmp_path / "run"))
    with pytest.raises(
        QuestionError, match=r"(?s)1 questions come again.*a\.jsonl:3: the reference is '2', but was '1'"
    ):
        prepare_questions(QuestionsConfig(train=train, test=test), run)
    config = QuestionsConfig(train=train, test=test, conflicts="drop")
    report = prepare_questions(config, run)
    assert texts(run, "train") == ["One?", "Two?", "Three?"]
    assert texts(run, "test") == ["Exam?"]
    counts = json.loads(json.dumps(asdict(report)))
    fingerprint = counts["train"].pop("fingerprint")
    assert counts["train"] == {
        **{"rows": 6, "questions": 3, "duplicates": 2, "conflicting": 1},
        **{"dropped": {"no_text": 1}, "levels": {"1": 2, "2": 1}},
    }
    assert (counts["test"]["rows"], counts["test"]["duplicates"], counts["overlapping"]) == (2, 1, 0)
    drops = list(run.read_records(Dropped, "questions", "dropped.parquet"))
    assert [(d.stage, d.id.rpartition("/")[2], d.reason) for d in drops] == [
        ("questions", "a.jsonl:3", "conflicting_duplicate"),
        ("questions", "a.jsonl:4", "no_text"),
    ]
    again = prepare_questions(config, RunFolder(str(tmp_path / "again")))
    assert again.train.fingerprint == fingerprint


def test_overlap_is_refused_dropped_or_allowed(tmp_path: Path) -> None:
    train = write(tmp_path / "a.jsonl", [row(f"How much is {n} + 1?") for n in range(10)])
    test = write(
        tmp_path / "b.jsonl", [row("how much is 3 + 1"), row("How much is 4 - 1?"), row("“How much” is 5 + 1?!")]
    )
    run = RunFolder(str(tmp_path / "run"))
    with pytest.raises(QuestionError, match=r"(?s)^2 training questions.*a\.jsonl:4: 'How much is 3.*overlap: drop"):
        prepare_questions(QuestionsConfig(train=train, test=test), run)
    assert run.files("questions", suffix=".parquet") == []
    report = prepare_questions(QuestionsConfig(train=train, test=test, overlap="drop"), run)
    assert (report.overlapping, report.train.questions, report.train.dropped) == (2, 8, {"in_test_set": 2})
    assert "How much is 3 + 1?" not in texts(run, "train") and "How much is 4 + 1?" in texts(run, "train")
    report = prepare_questions(QuestionsConfig(train=train, test=test, overlap="allow"), run)
    assert (report.overlapping, report.train.questions) == (2, 10)
    with pytest.raises(QuestionError, match="no training question is left"):
        prepare_questions(QuestionsConfig(train=train, test=train, overlap="drop"), RunFolder(str(tmp_path / "none")))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Janet’s ducks lay 16 eggs.", "janet's  ducks lay 16 eggs", True),
        ("So, 1,000 or more?", "So 1,000 or more", True),
        ("What is 2 + 3?", "What is 2 - 3?", False),
        ("What is 3.5?", "What is 3 5?", False),
        ("What is -5?", "What is 5?", False),
        ("What is .5?", "What is 5?", False),
        ("Find $f(x)$", "Find $f'(x)$", False),
    ],
)
def test_loose_ids_keep_mathematics_apart(one: str, other: str, same: bool) -> None:
    ids = {loose_id(Question(content_id(text), text, "1", "x")) for text in (one, other)}
    assert (len(ids) == 1) == same


def test_generated_questions_follow_the_seed(tmp_path: Path) -> None:
    config = QuestionsConfig(train=SourceConfig(source="word_problems", count=20, seed=5))
    prints = [prepare_questions(config, RunFolder(str(tmp_path / f"{s}")), seed=s).train.fingerprint for s in (0, 1)]
    again = prepare_questions(config, RunFolder(str(tmp_path / "again")), seed=0)
    assert prints[0] != prints[1] and again.train.fingerprint == prints[0]


def test_check_source_tells_every_row_that_does_not_grade_right(tmp_path: Path) -> None:
    rows = [
        row("a", "5", solution="2 + 3 = 5\n#### 5"),
        row("b", "5", solution="2 + 3 = 6\n#### 6"),
        row("c", "7"),
        row("", "7"),
    ]

    def grade(text: str, reference: str, *, task: str, choices: Any) -> Grade:
        answer = text.rpartition("The answer is ")[2].rstrip(".")
        return Grade("right" if answer == reference else "wrong", answer)

    found: list[Mismatch | Dropped] = []
    check = check_source(write(tmp_path / "a.jsonl", rows), grade, found.append)
    assert (check.rows, check.verdicts, check.dropped) == (4, {"right": 2, "wrong": 1}, {"no_text": 1})
    mismatch, dropped = found
    assert isinstance(mismatch, Mismatch) and mismatch.where.endswith("a.jsonl:2")
    assert (mismatch.question.reference, mismatch.grade.answer) == ("5", "6")
    assert isinstance(dropped, Dropped) and dropped.id.endswith("a.jsonl:4")


@pytest.mark.shared_data
def test_the_references_of_real_sets_grade_right(shared_data: Path) -> None:
    from lema_ray.grading import grade

    for source, file in (("gsm8k", "gsm8k_test_a.jsonl"), ("math500", "math500_a.jsonl"), ("svamp", "svamp_a.jsonl")):
        config = SourceConfig(source=source, path=str(shared_data / file), limit=100)
        assert check_source(config, grade).verdicts["right"] >= 99, file


MEASURE = r"""
import re, sys
from lema_ray.config import QuestionsConfig, SourceConfig
from lema_ray.questions import prepare_questions
from lema_ray.runs import RunFolder
folder, name = sys.argv[1:]
config = QuestionsConfig(train=SourceConfig(source="files", path=f"{folder}/{name}"))
report = prepare_questions(config, RunFolder(f"{folder}/run-{name}"))
# getrusage would count the parent's memory too, which a forked process inherits.
peak = re.search(r"VmHWM:\s+(\d+) kB", open("/proc/self/status").read())
print(report.train.questions, report.train.duplicates, int(peak[1]) // 1024)
"""


def measure(folder: Path, name: str) -> tuple[int, int, int]:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", MEASURE, str(folder), name]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    questions, duplicates, megabytes = map(int, done.stdout.split())
    return questions, duplicates, megabytes


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak memory from /proc")
@pytest.mark.parametrize(
    ("kind", "most", "words"), [("jsonl", 100_000, 85), ("csv", 10_000, 1400), ("parquet", 10_000, 1400)]
)
def test_memory_does_not_grow_with_the_rows(tmp_path: Path, kind: str, most: int, words: int) -> None:
    """60 to 100 MB of questions cost no more than 40 MB over a file that fills two batches: caches, not rows.

    The smaller file must fill its batches: a batch of 1,000 rows is a cost that stays the same from there on.
    """
    peaks = []
    for rows in (2_500, most):
        name = f"{rows}.{kind}"
        made = (row(f"{n % (rows - 10)} " + "apples " * words, str(n % (rows - 10)), level=n) for n in range(rows))
        write_as(kind, tmp_path / name, made)
        questions, duplicates, megabytes = measure(tmp_path, name)
        assert (questions, duplicates) == (rows - 10, 10)
        peaks.append(megabytes)
    assert peaks[1] - peaks[0] < 40, peaks


def write_as(kind: str, path: Path, rows: Iterable[dict[str, Any]]) -> None:
    import pyarrow as pa
    from pyarrow import csv, parquet

    if kind == "jsonl":
        write(path, rows)
        return
    table = pa.Table.from_pylist(list(rows))
    csv.write_csv(table, path) if kind == "csv" else parquet.write_table(table, path)
