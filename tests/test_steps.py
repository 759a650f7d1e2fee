"""Steps come apart where a reader would split them, and go together again byte for byte."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lema_ray.steps import join_steps, number_steps, split_steps

FRAGMENTS = (
    "Step 1: a", "**Step 2:** b", "\n", "\n\n", "\r\n", " ", "3.5 ", "Mr. Smith ", "ends. ", "Next", "\\[", "\\]", "$$",
    "x = 2", "\\begin{align*}", "\\end{align*}", "| a | b |", "1. one", "- two", "```", "$f(x) = 2. 5$", "。", "！",
    "\u2028", "[asy]",
)  # fmt: skip


@given(st.lists(st.one_of(st.sampled_from(FRAGMENTS), st.text(max_size=5)), max_size=30).map("".join))
def test_any_text_comes_back_byte_for_byte_and_no_step_is_blank(text: str) -> None:
    steps = split_steps(text)
    assert join_steps(steps) == text
    assert all(step.strip() for step in steps) or not text.strip()


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("", []),
        ("Tom has 4.\n\nHe buys 3.\n#### 7", ["Tom has 4.\n\n", "He buys 3.\n", "#### 7"]),
        ("Step 1: Add.\n4 + 3 = 7\n\n**Step 2:** Stop.", ["Step 1: Add.\n4 + 3 = 7\n\n", "**Step 2:** Stop."]),
        ("Step 1: Add.\nThe answer is 7.", ["Step 1: Add.\n", "The answer is 7."]),
        (
            "Step 1: Add.\nThe answer key\nSo the final answer: 7",
            ["Step 1: Add.\nThe answer key\n", "So the final answer: 7"],
        ),
        ("Plan\nStep 1: Add.\nStep 2: Stop.", ["Plan\n", "Step 1: Add.\n", "Step 2: Stop."]),
        ("1. Add.\n2. Stop.", ["1. Add.\n", "2. Stop."]),
        ("We have\n\\[\nx = 2\n\n\\]\nso it is 2.\nDone.", ["We have\n\\[\nx = 2\n\n\\]\nso it is 2.\n", "Done."]),
        ("So\n\\begin{align*}\na &= b \\\\\n\n&= c\n\\end{align*}\nEnd.", None),
        ("| a | b |\n|---|---|\n| 1 | 2 |\nSum: 3", ["| a | b |\n|---|---|\n| 1 | 2 |\n", "Sum: 3"]),
        ("It costs $$5.\nTwo cost 10.", ["It costs $$5.\n", "Two cost 10."]),
    ],
)
def test_lines_labels_blocks_and_tables(text: str, steps: list[str] | None) -> None:
    expected = steps if steps is not None else [text[: text.index("End.")], "End."]
    assert split_steps(text) == expected


def test_a_single_paragraph_is_split_by_sentence_and_only_there() -> None:
    text = "Mr. A. Lee has 3.5 kg, i.e. 3500 g. The U.S. pays $f(x) = 2. 5$ (approx. 2). At 5 p.m. he sells 2! No more."
    assert [step.strip() for step in split_steps(text)] == [
        "Mr. A. Lee has 3.5 kg, i.e. 3500 g.",
        "The U.S. pays $f(x) = 2. 5$ (approx. 2).",
        "At 5 p.m. he sells 2!",
        "No more.",
    ]


def test_numbers_follow_position_and_labels_are_not_doubled() -> None:
    steps = split_steps("Plan:\n\n**Step 1:** Add.\nStep 2. Stop.\n")
    assert number_steps(steps) == "Step 1: Plan:\nStep 2: Add.\nStep 3: Stop."
    assert number_steps(["Add to A. ", "Stop."]) == "Step 1: Add to A.\nStep 2: Stop."
    assert number_steps(split_steps(number_steps(steps))) == number_steps(steps)


@pytest.mark.shared_data
def test_real_solutions_come_back_and_gsm8k_lines_are_steps(shared_data: Path) -> None:
    for name in ("gsm8k_test_a", "math500_a", "gsm8k_model_solutions_a"):
        for line in (shared_data / f"{name}.jsonl").read_text().rstrip().split("\n")[:300]:
            solution = json.loads(line)["solution"]
            assert join_steps(split_steps(solution)) == solution
    row = json.loads((shared_data / "gsm8k_train.jsonl").read_text().split("\n")[1])
    assert len(split_steps(row["solution"])) == len(row["solution"].splitlines()) > 1


def test_labels_inside_a_paragraph_begin_steps_and_mentions_of_steps_do_not() -> None:
    text = "Step 1: It costs $400. Step 2: Twice that, by Step 1, is 2 * $400 = $800. **Step 3:** In all $1200."
    assert [step.strip() for step in split_steps(text)] == [
        "Step 1: It costs $400.",
        "Step 2: Twice that, by Step 1, is 2 * $400 = $800.",
        "**Step 3:** In all $1200.",
    ]


@pytest.mark.parametrize(
    "sentences",
    [
        ["He pays $400.", "She pays $800.", "Together that is $1200."],
        ["A pen is $1.50 and a pad $2.", "Both are $3.50."],
        ["With $x = 2. 5$ and $y = 3$ we get $z$.", "So it is $5$."],
        ["1. Add 3.5 to 4, i.e. 7.5.", "That is approx. 8.", "Dr. Lee has No. 3 of 5."],
        ["There are 3 m. of rope.", "Cut it!", "How long is it?", "It is 1.5 m (i.e. half. Really)."],
    ],
)
def test_money_decimals_abbreviations_and_formulas_do_not_break_sentences(sentences: list[str]) -> None:
    assert [step.strip() for step in split_steps(" ".join(sentences))] == sentences


@pytest.mark.shared_data
def test_labelled_step_lists_come_apart_as_their_makers_cut_them(shared_data: Path) -> None:
    """Published step lists, glued together as lines: the same number of steps, where steps have one line each."""
    for name, least in (("mrgsm8k_a", 1.0), ("bbmistake_arith_a", 1.0), ("prmbench_a", 0.98)):
        rows = [json.loads(line) for line in (shared_data / f"errloc_{name}.jsonl").open(encoding="utf-8")]
        single = [r["steps"] for r in rows if all(len(step.strip().splitlines()) == 1 for step in r["steps"])]
        same = sum(len(split_steps("\n".join(map(str.strip, steps)))) == len(steps) for steps in single)
        assert len(single) > 100 and same / len(single) >= least, (name, same, len(single))
