"""Doubt is found in many wordings and without words; solutions that only solve have none."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lema_ray.checks import asserts_answer, mentions_reference
from lema_ray.self_correction.doubts import find_doubts, opens_with_doubt

WORDINGS = [
    "Wait, 12 - 2 is 10, not 9.",
    "Hmm, that does not look right.",
    "Hold on. I should recheck the last step.",
    "Let me double-check this result.",
    "But that can't be right, because she only had 12.",
    "I made a mistake in the subtraction above.",
    "Actually, I misread the question.",
    "Oops: the boxes hold four each.",
    "On second thought, the rent is weekly.",
    "Something is off here, since 9 is less than that.",
    "The previous step was wrong.",
    "I think I overlooked the second box.",
    "No, that is incorrect.",
    "Let's start over with another approach.",
    "I seem to have forgotten the tax.",
    "Step 3: Wait, the price was per pair.",
    "不对，应该是 10。",
    "Moment mal, das stimmt so nicht.",
]
PLAIN = [
    "She has to wait 5 minutes. Then 3 + 4 = 7.",
    "He is not the right age, so he pays 5 dollars.",
    "The right side is 4 units longer than the left one.",
    "If the answer is not 5, he wins 3 points; here he wins 0.",
    "Tom made a mistake and lost 4 marbles, so 10 - 4 = 6 are left.",
    "Actually 3 of the 5 boxes are full.",
    "Next, we check how many are left: 12 - 2 = 10.",
    "There is no one else, so the answer is 4.",
    "3 * 4 = 12\n12 - 2 = 10\nThe answer is 10. The answer is 10.",
    "Step 1: 3 * 4 = 12\nStep 2: 12 - 2 = 10\nThe answer is 10.",
]


@pytest.mark.parametrize("wording", WORDINGS)
def test_doubt_is_found_in_many_wordings(wording: str) -> None:
    text = f"She has 12 - 2 = 9 left.\n{wording}\nSo 12 - 2 = 10 are left.\nThe answer is 10."
    (doubt,) = find_doubts(text)
    assert doubt.kind == "said" and text[doubt.start :].startswith(wording.split(".")[0][:12])
    assert opens_with_doubt(f"{wording} More.")


@pytest.mark.parametrize("text", PLAIN)
def test_plain_solutions_have_none(text: str) -> None:
    assert find_doubts(text) == []


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("12 - 2 = 9 left.\nMore exactly 12 - 2 = 10 left.\nThe answer is 10.", 1),
        ("The answer is 9.\nTwo more: the answer is 11.", 1),
        ("Step 1: a\nStep 2: b\nStep 2: c\nThe answer is 1.", 2),
        ("So \\boxed{4}.\nIn fact \\boxed{5}.", 1),
    ],
)
def test_taking_something_back_is_doubt_without_a_word(text: str, line: int) -> None:
    (doubt,) = find_doubts(text)
    assert doubt.kind == "shown" and text[: doubt.start].count("\n") == line


def test_several_doubts_are_counted_and_sentences_of_one_are_one() -> None:
    text = "1 + 1 = 3.\nWait. 1 + 1 is not 3. Let me check that again.\n1 + 1 = 2.\n"
    text += "Two more make 5.\nNo, that is wrong.\n2 + 2 = 4."
    first, second = find_doubts(text)
    assert text[first.start : first.stop] == "Wait. 1 + 1 is not 3. Let me check that again."
    assert text[second.start : second.stop] == "No, that is wrong."


@given(st.text(max_size=300))
def test_any_text_has_ordered_doubts_inside_it(text: str) -> None:
    found = find_doubts(text)
    assert [d.start for d in found] == sorted({d.start for d in found})
    assert all(0 <= d.start < d.stop <= len(text) for d in found)


@pytest.mark.parametrize(
    "piece",
    ["1 + ", "1", " ", "\n", "step ", "wait ", "I have ", "that is ", "1+1=", "\\boxed{", "*", "Step 1: ", "let me "],
)
def test_no_text_takes_long(piece: str) -> None:
    start = time.process_time()
    text = piece * (40_000 // len(piece))
    find_doubts(text)
    asserts_answer(text, [text], "5", "")
    mentions_reference(text, "")
    assert time.process_time() - start < 5, "tenths of a second are normal; quadratic time would be minutes"


@pytest.mark.shared_data
def test_published_solutions_hardly_ever_doubt(shared_data: Path) -> None:
    rows = [json.loads(line) for line in (shared_data / "gsm8k_train.jsonl").open(encoding="utf-8")]
    doubting = [row for row in rows if any(d.kind == "said" for d in find_doubts(row["solution"]))]
    assert len(doubting) / len(rows) < 0.005
