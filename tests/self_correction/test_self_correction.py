"""Traces and measures on solutions whose story is known by construction."""

from __future__ import annotations

import pytest

from lema_ray.grading import grade
from lema_ray.records import Analysis, Attempt, GradedAttempt, GradedQuestion, Question
from lema_ray.self_correction.measures import analysed_before, measure, trace

QUESTION = Question("q", "Ann has 12 apples and eats 2. How many are left?", "10", "t", level="1")
PLAIN = "12 - 2 = 10.\nThe answer is 10."
WRONG = "12 - 2 = 9.\nThe answer is 9."
MENDED = "12 - 2 = 9.\nThe answer is 9.\nWait, that is wrong.\n12 - 2 = 10.\nThe answer is 10."
BROKEN = "12 - 2 = 10.\nThe answer is 10.\nHmm, let me recheck.\n12 + 2 = 14.\nThe answer is 14."
MENDED_EARLY = "12 - 2 = 9.\nHold on, I made a mistake.\n12 - 2 = 10.\nThe answer is 10."
SHAKEN = "12 - 2 = 10.\nThe answer is 10.\nLet me double-check that.\n12 - 2 = 10.\nThe answer is 10."
SILENT = "12 - 2 = 9.\nThe answer is 9.\nThere are 12 - 2 = 10.\nThe answer is 10."


def row(*texts: str, analyses: tuple[Analysis, ...] = ()) -> GradedQuestion:
    attempts = (
        GradedAttempt(Attempt(f"a{k}", t, "m", completion_tokens=len(t.split())), grade(t, "10"))
        for k, t in enumerate(texts)
    )
    return GradedQuestion(QUESTION, tuple(attempts), analyses=analyses)


@pytest.mark.parametrize(
    ("text", "first", "final", "doubts"),
    [
        (PLAIN, "10", "10", 0),
        (MENDED, "9", "10", 1),
        (BROKEN, "10", "14", 1),
        (MENDED_EARLY, None, "10", 1),
        (SILENT, "9", "10", 1),
        ("", None, None, 0),
    ],
)
def test_a_trace_has_the_first_answer_the_doubts_and_the_last(
    text: str, first: str | None, final: str | None, doubts: int
) -> None:
    traced = trace(Attempt("a", text, "m"), QUESTION)
    assert (traced.first_answer, traced.final_answer, len(traced.doubts)) == (first, final, doubts)
    assert traced.before == (text[: traced.doubts[0].start] if doubts else text)


def test_what_doubting_mends_and_breaks_is_counted() -> None:
    found = measure([row(PLAIN, WRONG, MENDED, BROKEN), row(SHAKEN, SILENT, MENDED_EARLY)])
    rates = found.rates()
    assert rates["final_accuracy"] == 5 / 7 and rates["doubt_rate"] == 5 / 7
    assert (found.wrong_to_right, found.right_to_wrong) == (2, 1)
    assert rates["first_accuracy"] == 3 / 6, "what doubts before it states an answer has no first one"
    assert rates["doubt_precision"] == 2 / 4 and rates["doubt_recall"] == 2 / 3
    assert rates["harm"] == 1 / 2 and rates["mended"] == 1.0 and rates["judged_doubts"] == 4 / 5
    low, high = found.intervals()["final_accuracy"]
    assert low < 5 / 7 < high
    assert found.groups["level 1"].attempts == 7


def test_an_analysis_judges_what_came_before_an_early_doubt() -> None:
    late = "12 - 2 = 10.\nWait, let me check that.\n12 + 2 = 14.\nThe answer is 14."
    analyses = (Analysis("a0", 0, "CA"), Analysis("a1", 2, "OP"))
    found = measure([row(MENDED_EARLY, late, analyses=analyses)], analysed_before)
    assert (found.doubted_wrong, found.doubted_right) == (1, 1)
    assert (found.wrong_to_right, found.right_to_wrong) == (1, 1)
    assert found.groups["type CA"].wrong_to_right == 1 and found.groups["type OP"].right_to_wrong == 1


def test_extra_tokens_are_those_after_the_first_doubt() -> None:
    found = measure([row(MENDED, PLAIN)])
    words = len(MENDED.split())
    after = len(MENDED) - MENDED.index("Wait")
    assert found.rates()["extra_tokens"] == round(words * after / len(MENDED)) / 2


def test_nothing_is_divided_by_nothing() -> None:
    assert set(measure([]).rates().values()) == {None} and measure([]).intervals() == {}
