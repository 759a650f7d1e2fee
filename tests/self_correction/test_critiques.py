"""Critiques: the format survives being written and read, and what is no critique is told apart by its reason."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lema_ray.records import Message
from lema_ray.self_correction import critic
from lema_ray.self_correction.critiques import (
    Critique,
    Judged,
    UnusableCritique,
    all_right,
    critique_prompt,
    read_critique,
    revise_prompt,
    verdicts,
)

words = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]) | st.just(" "), min_size=1, max_size=40)


@st.composite
def critiques(draw: st.DrawFn) -> Critique:
    """Right steps, a wrong one with a reason, perhaps more of either."""
    right = [Judged(True)] * draw(st.integers(0, 4))
    why = " ".join(draw(words).split())
    assume(why and not verdicts(f"Step 1: wrong - x\n{why}")[0][1:] and why[0] not in "-–—*_.:,;!")
    rest = draw(st.lists(st.sampled_from([Judged(True), Judged(False, "It builds on the step before.")]), max_size=3))
    return Critique((*right, Judged(False, why), *rest), Judged(False))


@given(critiques(), st.integers(0, 3))
def test_what_is_written_is_read_again(critique: Critique, more: int) -> None:
    assert read_critique(str(critique), len(critique.steps) + more) == critique


@given(critiques())
def test_the_short_form_ends_with_the_first_wrong_step(critique: Critique) -> None:
    short = critique.short()
    assert short.wrong_step == critique.wrong_step == len(short.steps) - 1
    assert short.why == critique.why and short.answer == Judged(False)
    assert read_critique(str(short), len(critique.steps)) == short


LINES = (
    "Step 1: right", "Step 1: wrong - no", "Step 2: right", "Step 2: wrong", "**Step 3:** Incorrect.",
    "step 2) correct",    "Final answer: right", "Final answer: wrong", "and so on", "Step 999999999: right", "",
)  # fmt: skip


@given(st.text(max_size=300) | st.lists(st.sampled_from(LINES), max_size=7).map("\n".join), st.integers(1, 4))
def test_any_text_is_a_whole_critique_or_has_a_reason(text: str, steps: int) -> None:
    try:
        found = read_critique(text, steps)
    except UnusableCritique as unusable:
        assert unusable.reason in {"unreadable_reply", "bad_step", "contradiction"}
        return
    assert 1 <= len(found.steps) <= steps
    assert found.answer.right == (found.wrong_step is None)
    assert found.wrong_step is not None or len(found.steps) == steps
    lenient = critic.read_critique(text, steps)  # whatever training accepts, use accepts, and says the same of it
    assert lenient is not None and (lenient.wrong, lenient.wrong_step) == (not found.answer.right, found.wrong_step)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "unreadable_reply"),
        ("The solution looks fine to me.", "unreadable_reply"),
        ("Final answer: wrong", "unreadable_reply"),
        ("Step 1: right\nStep 2: right", "unreadable_reply"),
        ("Step 1: right\nStep 3: wrong - 3", "bad_step"),
        ("Step 2: wrong - 2", "bad_step"),
        ("Step 1: right\nStep 2: right\nStep 3: right\nStep 4: right\nFinal answer: right", "bad_step"),
        ("Step 1: right\nFinal answer: right", "bad_step"),
        ("Step 1: right\nStep 1: wrong - no, it is not\nFinal answer: wrong", "contradiction"),
        ("Step 1: wrong - no\nFinal answer: right", "contradiction"),
        ("Step 1: right\nStep 2: right\nStep 3: right\nFinal answer: wrong", "contradiction"),
        ("Step 1: wrong - no\nFinal answer: wrong\nFinal answer: right", "contradiction"),
    ],
)
def test_bad_critiques_of_three_steps(text: str, reason: str) -> None:
    with pytest.raises(UnusableCritique) as unusable:
        read_critique(text, 3)
    assert unusable.value.reason == reason


@pytest.mark.parametrize(
    "text",
    [
        "Step 1: right\nStep 2: wrong - It is 12.\nFinal answer: wrong",
        "**Step 1:** Correct.\n**Step 2:** Incorrect. It is 12.\n**Final Answer:** Incorrect",
        "Here is my critique:\n\nstep 1 - correct\nstep 2 - wrong: It is\n12.\n\nThe final answer is wrong.",
        "Step 1 is right.\nStep 2 is wrong. It is 12.",
    ],
)
def test_what_models_make_of_the_format(text: str) -> None:
    assert read_critique(text, 3) == Critique((Judged(True), Judged(False, "It is 12.")), Judged(False))


def test_long_lines_are_read_at_once() -> None:
    for text in ("Step 1" + ":" * 200_000, "Step 1: wrong" + "-" * 200_000, "*" * 200_000, "answer " * 50_000):
        verdicts(text)


def test_a_right_solution_and_the_requests() -> None:
    assert read_critique(str(all_right(3)), 3) == all_right(3)
    (asked,) = critique_prompt("How many?", "One.\nTwo.")
    assert asked.content.endswith("Question:\nHow many?\n\nSolution:\nStep 1: One.\nStep 2: Two.")
    turns = revise_prompt((Message("user", "How many?"),), "Two.", "Step 1: wrong - Three.")
    assert [turn.role for turn in turns] == ["user", "assistant", "user"] and "Three." in turns[-1].content
