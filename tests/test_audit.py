"""The audit of a run's grades, doubtful references and their review, from made-up and from real attempts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from lema_ray.audit import SAMPLE, SUSPECTS, Audit, audit_lines, audit_rows, audit_run, suspicions
from lema_ray.config import ConfigError, QuestionsConfig, RecipeConfig, SourceConfig
from lema_ray.corrections import correct_question
from lema_ray.grading import GradingPool
from lema_ray.grading.pool import second_comparison
from lema_ray.grading.votes import answer_classes, contradicting_majority
from lema_ray.questions import QuestionError, prepare_questions
from lema_ray.recipes import open_recipe
from lema_ray.records import Attempt, FinishReason, GradedAttempt, GradedQuestion, Question, content_id
from lema_ray.report import write_report
from lema_ray.review import ask_all, decide, read_review
from lema_ray.runs import RunFolder


def graded(name: str, reference: str, texts: Sequence[str], finish: FinishReason = "stop") -> GradedQuestion:
    question = Question(content_id(name), name, reference, "made up")
    with GradingPool() as pool:
        grades = pool.grade_all([(text, question) for text in texts])
    attempts = (Attempt(f"{name}/{i}", text, "m", finish_reason=finish) for i, text in enumerate(texts))
    return GradedQuestion(question, tuple(map(GradedAttempt, attempts, grades)))


DOUBTFUL = graded("How many pens?", "24", ["The answer is 25."] * 3 + ["The answer is 7."])
SOLVED = graded("How many pencils?", "24", ["The answer is 25."] * 2 + ["The answer is 24."] * 2)


def test_one_vote_however_it_is_written() -> None:
    assert answer_classes(["1/2", "0.5", None, "\\frac12", "2", "x=2", "\\{1,2\\}", "2, 1"]) == [
        0,
        0,
        None,
        0,
        1,
        1,
        2,
        2,
    ]


def test_a_majority_against_the_reference_makes_it_doubtful() -> None:
    assert contradicting_majority(DOUBTFUL) == ("25", 3, 4)
    assert contradicting_majority(SOLVED) is None
    assert contradicting_majority(graded("Few?", "1", ["The answer is 2."] * 2)) is None
    assert contradicting_majority(graded("Cut?", "1", ["The answer is 2."] * 4, "length")) is None


@pytest.mark.parametrize(
    ("answer", "reference", "reasons"),
    [
        ("33.4", "33.33", ["rounding"]),
        ("90", "1.5", ["unit"]),
        ("2500", "25", ["another_reader", "unit"]),
        ("7", "24", []),
    ],
)
def test_what_makes_a_wrong_verdict_suspicious(answer: str, reference: str, reasons: list[str]) -> None:
    question = Question("q", "How many?", reference, "made up")
    assert list(suspicions(f"The answer is {answer}.", answer, question)) == reasons


def test_counts_rates_and_bounded_lists() -> None:
    rows = [SOLVED, DOUBTFUL, graded("Cut?", "5", ["So we have"], "length"), graded("Odd?", "x+1", ["\\boxed{f(}"])]
    rows += [graded(f"Question {i}", "25", ["The answer is 2500."]) for i in range(SUSPECTS + 10)]
    audit = audit_rows(rows, second_comparison)
    assert (audit.questions, audit.attempts) == (len(rows), 8 + 2 + SUSPECTS + 10)
    assert (audit.cut_off, audit.doubtful_references, audit.verdicts["right"]) == (1, 1, 2)
    assert len(audit.suspects) == SUSPECTS and audit.reasons["another_reader"] == SUSPECTS + 10
    assert audit.agreed == 1.0
    text = "\n".join(audit_lines(audit))
    assert "references that most attempts contradict: 1" in text and "3 of 4 say '25'" in text


def test_memory_does_not_grow_with_the_run() -> None:
    audit = Audit()
    for _ in range(2 * SAMPLE):
        audit.add(SOLVED)
    assert {len(pairs) for pairs in audit._sample.values()} == {SAMPLE}


async def test_doubtful_references_are_kept_from_the_corrector() -> None:
    asked = []

    async def corrector(messages: object, sampling: object) -> object:
        asked.append(messages)
        raise AssertionError("nothing should be asked")

    recipes = [open_recipe(RecipeConfig())]
    kept = await correct_question(DOUBTFUL, corrector, recipes=recipes)  # type: ignore[arg-type]
    assert not asked and [drop.reason for drop in kept.drops] == ["doubtful_reference"]
    with pytest.raises(AssertionError, match="nothing should be asked"):
        await correct_question(DOUBTFUL, corrector, recipes=recipes, correct_doubtful=True)  # type: ignore[arg-type]


def source(path: Path, **row: str) -> SourceConfig:
    path.write_text("".join(json.dumps({"question": q, "answer": a}) + "\n" for q, a in row.items()))
    return SourceConfig(source="files", path=str(path))


def test_decisions_are_data_that_the_next_run_takes(tmp_path: Path) -> None:
    run = RunFolder(str(tmp_path / "run"))
    run.write_text("name: run\n", "config.yaml")
    run.write_records([DOUBTFUL, SOLVED], GradedQuestion, "collected", "part-0.parquet")
    audit = audit_run(run, second=False)
    with pytest.raises(ConfigError, match="no doubtful reference has the id 'x'"):
        decide(run, audit, ["x=keep"])
    with pytest.raises(ConfigError, match="expected keep, drop, fix"):
        decide(run, audit, [f"{DOUBTFUL.question.id}=maybe"])
    replies = iter(["fix"])
    assert ask_all(run, audit, lambda text: next(replies), lambda text: None) == 1
    assert read_review(run)[DOUBTFUL.question.id].reference == "25"
    train = source(tmp_path / "train.jsonl", **{"How many pens?": "24", "How many pencils?": "24"})
    path = run.uri("review", "decisions.jsonl")
    again = RunFolder(str(tmp_path / "again"))
    prepare_questions(QuestionsConfig(train=train, reviewed=path), again)
    kept = list(again.read_records(Question, "questions", "train.parquet"))
    assert [(q.reference, q.reviewed) for q in kept] == [("25", True), ("24", False)]
    decide(run, audit, [f"{DOUBTFUL.question.id}=drop"])
    report = prepare_questions(QuestionsConfig(train=train, reviewed=path), again)
    assert report.train.dropped == {"reviewed": 1} and report.train.questions == 1
    with pytest.raises(QuestionError, match="not a decision"):
        run.write_text("{}\n", "review", "decisions.jsonl")
        prepare_questions(QuestionsConfig(train=train, reviewed=path), again)


def test_references_that_cannot_be_read_are_dropped_by_name(tmp_path: Path) -> None:
    run = RunFolder(str(tmp_path / "run"))
    report = prepare_questions(QuestionsConfig(train=source(tmp_path / "a.jsonl", **{"One?": "...", "Two?": "2"})), run)
    assert report.train.dropped == {"unreadable_reference": 1} and report.train.questions == 1


def test_the_report_shows_the_audit(tmp_path: Path) -> None:
    run = RunFolder(str(tmp_path / "run"))
    run.write_text("name: run\n", "config.yaml")
    run.write_records([DOUBTFUL, SOLVED], GradedQuestion, "collected", "part-0.parquet")
    page = Path(write_report(run)).read_text()
    assert "How sure the grades are" in page and "3 of 4" in page
    with pytest.raises(ConfigError, match="nothing to audit"):
        audit_run(RunFolder(str(tmp_path / "empty")))


@pytest.mark.shared_data
def test_real_solutions_agree_with_the_second_comparison(shared_data: Path) -> None:
    by_question: dict[str, list[dict[str, str]]] = {}
    for line in (shared_data / "gsm8k_model_solutions_a.jsonl").open(encoding="utf-8"):
        row = json.loads(line)
        by_question.setdefault(row["question"], []).append(row)
    rows = [graded(q, r[0]["reference"], [one["solution"] for one in r]) for q, r in list(by_question.items())[:300]]
    audit = audit_rows(rows, second_comparison)
    assert audit.agreed == 1.0 and audit.attempts == 1200
    assert audit.verdicts["unsure"] == 0
