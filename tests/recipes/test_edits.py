"""Steps made wrong on purpose: what counts as an edit, and what its numbers show."""

from __future__ import annotations

import asyncio
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lema_ray.demo.rules import reply
from lema_ray.demo.teacher_edits import WAYS
from lema_ray.demo.word_problems import generate
from lema_ray.recipes.edits import arrives_at, check_edit, clean_edit, is_sound, near, shown_wrong
from lema_ray.recipes.recipe import Rejected
from lema_ray.recipes.rise_prompts import EDITS, edit_prompt, fitting
from lema_ray.recipes.s3c_prompts import read_doubt
from lema_ray.records import Completion, Question

STEP = "Step 2: Ana loses 6, so 34 - 6 = 28 marbles."


@pytest.mark.parametrize(
    "edited, wrong",
    [
        ("Step 2: Ana loses 6, so 34 - 6 = 27 marbles.", True),  # calculates falsely
        ("Step 2: Ana loses 8, so 34 - 8 = 26 marbles.", True),  # another value
        ("Step 2: Ana loses 6, so 34 + 6 = 40 marbles.", True),
        ("Step 2: Ana loses 6, so 34 marbles.", True),
        ("Step 2: Ana loses 6, so 6 - 34 = -28 marbles.", True),
        ("Step 2: Ana loses 6, so 34 - 2 * 3 = 28 marbles.", False),  # another way to the same value
        ("Step 2: Ana gives away 6, so 34 - 6 = 28 marbles.", False),  # words, of which numbers show nothing
        ("Step 2: Ana loses 6, so 34 - 6 = 28.0 marbles.", False),
        ("Step 2: Ana loses 6, so 24 - 6 = 18 marbles.", False),  # where 18 is the answer, it may be the better step
    ],
)
def test_numbers_show_that_an_edit_is_wrong(edited: str, wrong: bool) -> None:
    assert shown_wrong(edited, STEP, reference="18") is wrong


@pytest.mark.parametrize(
    "edited, reason",
    [
        (STEP, "no_change"),
        ("step 2:  ana loses 6, so 34 - 6 =28 marbles.", "no_change"),
        ("Step 2: There were 34, and now there are none left at all.", "too_different"),
        ("Step 2: Ana loses 6, so 34 + 6 = 40 marbles (wrong).", "gives_itself_away"),
        ("Step 2: Wait, Ana loses 6, so 34 + 6 = 40.", "gives_itself_away"),
    ],
)
def test_an_edit_differs_a_little_and_says_nothing(edited: str, reason: str) -> None:
    with pytest.raises(Rejected) as rejected:
        check_edit(edited, STEP, 0.7)
    assert rejected.value.reason == reason


def test_a_word_of_the_right_step_does_not_give_an_edit_away() -> None:
    right = "The error of the scale is 2 + 1 = 3 grams."
    check_edit("The error of the scale is 2 + 1 = 4 grams.", right, 0.7)


def test_an_edited_step_stands_as_the_right_one_does() -> None:
    assert clean_edit("Ana loses 6,\nso 34 + 6 = 40.", STEP) == "Step 2: Ana loses 6, so 34 + 6 = 40."
    assert clean_edit(" a\nb ", "one\ntwo") == "a\nb"


def test_each_way_fits_the_steps_that_have_what_it_changes() -> None:
    every = tuple(EDITS)
    assert {e.name for e in fitting(STEP, every)} == set(EDITS) - {"change the wording"}
    assert [e.name for e in fitting("Step 3: The red ones are the largest.", every)] == ["change the wording"]
    assert [e.name for e in fitting("Step 1: She has 12 of them.", every)] == ["change a number"]
    assert fitting("Step 1: So.", every) == []
    for edit in EDITS.values():
        assert edit.fits(edit.before) and edit.before != edit.after


@pytest.mark.parametrize("name", EDITS)
def test_the_teacher_edits_in_every_way_and_mostly_wrongly(name: str) -> None:
    steps, made, wrong = 0, 0, 0
    for problem in generate(80, 5):
        lines = problem.story.solution.splitlines()[:-1]
        if name == "change the wording":
            lines = [f"{line.split(',')[0]}." for line in lines]
        for at in range(len(lines)):
            prompt = edit_prompt(problem.question, lines, at, EDITS[name])
            said = reply(prompt)
            steps += 1
            if said.startswith("Edited Step: "):
                edited = clean_edit(said.removeprefix("Edited Step: "), lines[at])
                made += 1
                wrong += shown_wrong(edited, lines[at], problem.question.reference)
    assert set(WAYS) == set(EDITS) and made > steps / 4
    floor = {"swap two terms": 0.3, "change the wording": 0.0}.get(name, 0.9)
    assert wrong >= floor * made, f"{wrong} of {made}"


anything = st.text(max_size=120) | st.from_regex(r"(?:Step \d+: )?[-\d+*/=. $\\{}%]{0,60}", fullmatch=True)


@given(edited=anything, right=anything, reference=st.text(max_size=10))
def test_no_text_breaks_the_checks(edited: str, right: str, reference: str) -> None:
    assert 0 <= near(edited, right) <= 1
    assert shown_wrong(edited, right, reference) in (True, False) and is_sound(right) in (True, False)
    arrives_at(edited), fitting(edited, tuple(EDITS)), clean_edit(edited, right)
    try:
        check_edit(edited, right, 0.7)
    except Rejected as rejected:
        assert rejected.reason in ("no_change", "too_different", "gives_itself_away")


@given(right=anything)
def test_an_unchanged_step_is_never_an_edit(right: str) -> None:
    with pytest.raises(Rejected, match="no_change"):
        check_edit(clean_edit(right, right), right, 0.0)
    assert near(right, right) == 1


@given(text=anything, steps=st.integers(1, 9))
def test_no_reply_breaks_the_reading_of_a_doubt(text: str, steps: int) -> None:
    question = Question("q", "How many?", "3", "test")
    try:
        doubt = asyncio.run(read_doubt(question, steps, Completion(f"Doubt: {text}", "stop", "m", 1, 1)))
    except Rejected:
        return
    assert doubt and "\n" not in doubt


def test_edits_come_from_the_story_and_the_same_request_gives_the_same_edit() -> None:
    problem = next(iter(generate(1, 1, min_steps=3)))
    lines = problem.story.solution.splitlines()
    for name in EDITS:
        prompt = edit_prompt(problem.question, lines, 1, EDITS[name])
        assert reply(prompt) == reply(prompt)
    rng = Random(0)
    assert all(f"Step {1}" in edited for edited in WAYS["change an operator"](lines[0], problem.story, rng))
