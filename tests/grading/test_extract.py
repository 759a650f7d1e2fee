"""The last explicit answer wins, guesses carry their own rule, and cut-off text has no answer."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lema_ray.grading import extract_answer


@pytest.mark.parametrize(
    ("text", "answer", "rule"),
    [
        ("So \\boxed{10}. Wait, no: \\boxed{\\frac{1}{2}}.", "\\frac{1}{2}", "boxed"),
        ("\\boxed{10}. Let me redo this. So the answer is 11.", "11", "answer_is"),
        ("#### 5\nNo.\n#### 6", "6", "hashes"),
        ("The answer is 7. As a check, 7 + 8 = 15.", "7", "answer_is"),
        ("\\boxed{7}. The answer is consistent with the given sum of all the terms.", "7", "boxed"),
        ("The values are $\\boxed{-1}$ and $\\boxed{-9}$.", "-1, -9", "boxed"),
        ("$\\boxed{\\boxed{8}}$", "8", "boxed"),
        ("**Final Answer:**\n\n\\[ x + 1 \\]", "x + 1", "answer_is"),
        ("The answer is 12, not 20.", "12", "answer_is"),
        ("<think>\\boxed{4}? or</think> <answer>5</answer>", "5", "answer_tag"),
        ('{"reasoning": "...", "answer": "6"}', "6", "answer_field"),
        ("He has 3 + 4 = <<3+4=7>>7\nA: 7", "7", "answer_line"),
        ("The answer is 5.\n\nQuestion: another?\nThe answer is 9.", "5", "answer_is"),
        ("答案是２４。", "24", "answer_is"),
        ("So there are $x = 24$ of them.", "x = 24", "last_math"),
        ("So 4 boxes of 6 make 24 eggs.", "24", "last_number"),
        ("So the total is\n\\[\nx = 24\n\\]", "x = 24", "last_math"),
        ("Answer: 11,\\! 111", "11,\\! 111", "answer_is"),
        ("-3/4", "-3/4", "whole_text"),
        ("(-2, \\infty)", "(-2, \\infty)", "whole_text"),
    ],
)
def test_which_answer_is_found_and_by_which_rule(text: str, answer: str, rule: str) -> None:
    found = extract_answer(text)
    assert (found.answer, found.rule) == (answer, rule)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "I cannot answer this question.",
        "I do not know.",
        "First, 4 * 5 = 20. Then we still need to add the",
        "\\boxed{3} is not it, so \\boxed{4",
        "\\boxed{?}",
        "Answer:",
        "<think>The answer is 5.",
        "So it costs $41.4+$8.2 = $<<41.4+8.",
    ],
)
def test_no_final_answer(text: str) -> None:
    assert extract_answer(text).answer is None
    assert extract_answer(text).rule == "no_answer"


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("The answer is (B).", "B"),
        ("A rules itself out. Answer : Option C", "C"),
        ("**Answer:** b) milk", "B"),
        ("\\boxed{\\text{A}}", "A"),
        ("So the answer is water.", "C"),
        ("A quick check rules out B. So I choose (C).", "C"),
        ("He drinks his milk.", "B"),
        ("It is tea or milk.", None),
        ("A thing is hard to tell.", None),
    ],
)
def test_choices_by_letter_or_by_words(text: str, letter: str | None) -> None:
    assert extract_answer(text, "choice", ["tea", "milk", "water"]).answer == letter


MARKS = (
    "\\boxed{",
    "}",
    "####",
    "The answer is ",
    "<answer>",
    "</answer>",
    "<think>",
    "$",
    "\n",
    " ",
    "and",
    "5",
    "=",
    ".",
)


@given(st.lists(st.one_of(st.sampled_from(MARKS), st.text(max_size=4)), max_size=40).map("".join))
def test_any_text_has_an_answer_or_none(text: str) -> None:
    found = extract_answer(text)
    assert (found.answer is None) == (found.rule == "no_answer")


@pytest.mark.parametrize(
    "unit", [*MARKS, "\\boxed{\\boxed{", "\\boxed{1} and ", '"answer": "', " \t", "Q:\n\n", "1,", "answer "]
)
def test_megabytes_of_marks_take_no_time(unit: str) -> None:
    started = time.process_time()
    extract_answer(unit * (1_000_000 // len(unit)))
    assert time.process_time() - started < 2.0
