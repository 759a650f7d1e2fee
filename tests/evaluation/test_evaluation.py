"""Scores and comparisons from graded questions, and their way through the run folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lema_ray.evaluation import scores
from lema_ray.records import Attempt, FinishReason, Grade, GradedAttempt, GradedQuestion, Question, Verdict
from lema_ray.runs import RunFolder


def graded(name: str, *verdicts: Verdict, level: str | None = None, finish: FinishReason = "stop") -> GradedQuestion:
    attempts = tuple(
        GradedAttempt(
            Attempt(f"{name}{i}", "text", "m", finish_reason=finish, prompt_tokens=5, completion_tokens=10),
            Grade(verdict, None if finish == "length" else "1"),
        )
        for i, verdict in enumerate(verdicts)
    )
    return GradedQuestion(Question(name, name, "1", "test", level=level), attempts)


def single(rights: str) -> Iterator[GradedQuestion]:
    return (graded(f"q{i}", "right" if mark == "+" else "wrong") for i, mark in enumerate(rights))


def test_unsure_and_cut_off_are_not_right_but_are_reported() -> None:
    rows = [graded("a", "right"), graded("b", "unsure"), graded("c", "wrong", finish="length"), graded("d", "wrong")]
    found = scores.score("m", "greedy", rows, seconds=2.0)
    assert (found.questions, found.samples, found.pass_at_1) == (4, 1, 0.25)
    assert (found.unsure, found.cut_off, found.no_answer) == (0.25, 0.25, 0.25)
    assert found.low < 0.25 < found.high
    assert (found.tokens, found.mean_completion_tokens, found.seconds) == (60, 10, 2.0)


def test_samples_average_within_the_question_and_a_missing_answer_costs() -> None:
    rows = [graded("a", "right", "right", "wrong", "wrong"), graded("b", "right", "right")]
    found = scores.score("m", "t0.7", rows)
    assert found.pass_at_1 == 0.5 and found.samples == 4
    assert found.no_answer == 2 / 8
    assert found.pass_at["2"] == pytest.approx(1 - 1 / 6) and found.pass_at["4"] == 1.0


def test_a_question_nobody_answered_counts_as_not_right() -> None:
    found = scores.score("m", "greedy", [graded("a", "right"), graded("b")])
    assert found.pass_at_1 == 0.5 and found.no_answer == 0.5


def test_levels_are_scored_apart() -> None:
    rows = [graded("a", "right", level="1"), graded("b", "wrong", level="2"), graded("c", "right", level="2")]
    levels = scores.score("m", "greedy", rows).levels
    assert [(one.level, one.questions, one.pass_at_1) for one in levels] == [("1", 1, 1.0), ("2", 2, 0.5)]


def test_comparison_is_paired_by_question_not_by_order() -> None:
    before = list(single("++--------"))
    after = list(reversed(list(single("+-++++++++"))))
    found = scores.compare("cot", "lema", "greedy", before, after)
    assert (found.wins, found.losses, found.test) == (8, 1, "McNemar, exact")
    assert found.difference == pytest.approx(0.7)
    assert found.p_value == pytest.approx(20 / 512) and found.significant
    assert found.low <= 0.7 <= found.high


def test_the_same_answers_show_no_difference() -> None:
    found = scores.compare("cot", "lema", "greedy", single("++--"), single("++--"))
    assert (found.difference, found.p_value, found.significant) == (0.0, 1.0, False)


def test_several_samples_are_compared_by_rate() -> None:
    before = [graded(f"q{i}", "right", "wrong") for i in range(30)]
    after = [graded(f"q{i}", "right", "right" if i % 2 else "wrong") for i in range(30)]
    found = scores.compare("cot", "lema", "t0.7", before, after)
    assert found.test == "paired sign flips" and (found.wins, found.losses) == (15, 0)
    assert found.difference == pytest.approx(0.25) and found.p_value < 0.01


def test_different_questions_are_refused_with_numbers() -> None:
    with pytest.raises(ValueError, match=r"3 and 4 questions, 1 of them not in both"):
        scores.compare("cot", "lema", "greedy", single("+++"), single("++++"))


def test_a_question_answered_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="answered twice"):
        scores.score("m", "greedy", [graded("a", "right"), graded("a", "right")])


def test_no_questions_is_refused() -> None:
    with pytest.raises(ValueError, match="no graded questions"):
        scores.score("m", "greedy", [])


def test_a_run_is_scored_and_read_back(tmp_path: Path) -> None:
    run = RunFolder(str(tmp_path))
    run.write_records(list(single("+---")), GradedQuestion, "evaluations", "base--greedy.parquet")
    run.write_records(list(single("++--"))[:2], GradedQuestion, "evaluations", "my--lema--greedy", "part-0.parquet")
    run.write_records(list(single("++--"))[2:], GradedQuestion, "evaluations", "my--lema--greedy", "part-1.parquet")
    found, comparisons = scores.score_run(run, ["base", "my--lema"], ["greedy", "t0.7"], {("base", "greedy"): 3.0})
    assert [(s.model, s.pass_at_1, s.seconds) for s in found] == [("base", 0.25, 3.0), ("my--lema", 0.5, 0.0)]
    assert [(c.baseline, c.model, c.wins, c.losses) for c in comparisons] == [("base", "my--lema", 1, 0)]
    assert scores.read_scores(run) == (found, comparisons)


def test_the_seeds_of_an_arm_are_scored_and_compared_as_one(tmp_path: Path) -> None:
    run = RunFolder(str(tmp_path))
    marks = {"cot": "+---", "cot-seed1": "++--", "lema": "+++-", "lema-seed1": "++++"}
    for model, rights in marks.items():
        rows = list(single(rights))
        rows = rows if model != "lema-seed1" else rows[::-1]
        run.write_records(rows, GradedQuestion, "evaluations", f"{model}--greedy.parquet")
    arms = {model: model.split("-")[0] for model in marks}
    found, comparisons = scores.score_run(run, list(marks), ["greedy"], arms=arms)
    assert [(s.model, s.pass_at_1, s.samples, s.seeds) for s in found] == [("cot", 0.375, 2, 2), ("lema", 0.875, 2, 2)]
    assert found[0].pass_at == {} and found[0].tokens_per_answer == 15
    assert found[1].self_correction["final_accuracy"] == 0.875
    (c,) = comparisons
    assert (c.baseline, c.model, c.difference, c.wins, c.losses) == ("cot", "lema", 0.5, 3, 0)
    assert [(s.model, s.pass_at_1) for s in scores.read_model_scores(run)] == [
        ("cot", 0.25), ("cot-seed1", 0.5), ("lema", 0.75), ("lema-seed1", 1.0),
    ]  # fmt: skip


def test_seeds_that_answered_different_questions_are_refused(tmp_path: Path) -> None:
    run = RunFolder(str(tmp_path))
    for model, rights in (("cot", "+---"), ("cot-seed1", "++-")):
        run.write_records(list(single(rights)), GradedQuestion, "evaluations", f"{model}--greedy.parquet")
    with pytest.raises(ValueError, match="different questions"):
        scores.score_run(run, ["cot", "cot-seed1"], ["greedy"], arms={"cot": "cot", "cot-seed1": "cot"})


def test_nothing_evaluated_yet_reads_as_nothing(tmp_path: Path) -> None:
    assert scores.read_scores(RunFolder(str(tmp_path))) == ([], [])
