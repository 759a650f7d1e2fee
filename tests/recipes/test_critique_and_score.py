"""The recipes `critique` and `score`: what their rules keep and drop, and the rows that they teach."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from lema_ray.config import ConfigError, RecipeConfig
from lema_ray.demo.rules import reply
from lema_ray.recipes import Outcome, open_recipe
from lema_ray.records import (
    Attempt,
    Completion,
    Correction,
    Grade,
    GradedAttempt,
    GradedQuestion,
    Message,
    Question,
    Sampling,
)
from lema_ray.self_correction.critiques import all_right

TEXT = (
    "Ben has 25 pebbles. Ben finds 12 pebbles under the bed. Ben sells 7 pebbles at the market. How many pebbles does"
)
QUESTION = Question("q", f"{TEXT} Ben have now?", "30", "word_problems", solution="25 + 12 = 37\n37 - 7 = 30\n30")
RIGHT = (
    "Step 1: Ben finds 12, so 25 + 12 = 37 pebbles.\nStep 2: Ben sells 7, so 37 - 7 = 30 pebbles.\nThe answer is 30."
)
WRONG = RIGHT.replace("12 = 37", "12 = 38").replace("37 - 7 = 30", "38 - 7 = 31").replace("is 30", "is 31")
HELPFUL = "Step 1: wrong - 25 + 12 is 37, not 38.\nFinal answer: wrong"
WHOLE = (
    "Step 1: wrong - 25 + 12 is 37, not 38.\nStep 2: wrong - It goes on from 38.\nStep 3: wrong - So it says 31.\n"
    "Final answer: wrong - It should be 30."
)


def graded(*texts: tuple[str, str]) -> GradedQuestion:
    attempts = (
        GradedAttempt(Attempt(f"a{k}", text, "m"), Grade(verdict, "?"))  # type: ignore[arg-type]
        for k, (text, verdict) in enumerate(texts)
    )
    return GradedQuestion(QUESTION, tuple(attempts))


def says(critique: str, refined: Callable[[int], str] = lambda _: RIGHT) -> Callable[..., object]:
    """A model that criticizes in these words and refines like this, the first time and the next ones."""
    count = -1

    async def model(messages: Sequence[Message], sampling: Sampling) -> Completion:
        nonlocal count
        count += len(messages) > 1
        text = refined(count) if len(messages) > 1 else critique
        return Completion(text, "stop", "m", 10, 5, cost=1.0)

    return model


async def run(name: str, row: GradedQuestion, model: Callable[..., object], **options: object) -> Outcome:
    options = {"inject": 0, "refinements": 4} | options if name == "critique" else options
    recipe = open_recipe(RecipeConfig(name=name, options=options))
    return await recipe.correct(row, model, None)  # type: ignore[arg-type]


MISTAKE = graded((WRONG, "wrong"), (RIGHT, "right"))


@pytest.mark.parametrize(
    ("critique", "reason"),
    [
        ("", "unreadable_reply"),
        ("Step 1: right\nStep 2: right\nStep 3: right\nFinal answer: right", "called_right"),
        ("Step 1: right\nStep 2: wrong - It is 30.\nFinal answer: right", "contradiction"),
        ("Step 2: wrong - It is 30.\nFinal answer: wrong", "bad_step"),
        ("Step 1: right\nStep 2: right\nStep 3: right\nStep 4: wrong - No.\nFinal answer: wrong", "bad_step"),
        ("Step 1: wrong\nFinal answer: wrong", "no_explanation"),
        ("Step 1: wrong - The reference solution says 37.\nFinal answer: wrong", "reference_leak"),
    ],
)
async def test_critiques_that_are_dropped(critique: str, reason: str) -> None:
    outcome = await run("critique", MISTAKE, says(critique))
    (drop,) = outcome.drops
    assert not outcome.corrections and (drop.reason, drop.requests, drop.cost) == (reason, 1, 1.0)


@pytest.mark.parametrize(("right", "kept"), [(0, False), (1, False), (2, True), (4, True)])
async def test_a_critique_stays_when_enough_refinements_are_right(right: int, kept: bool) -> None:
    model = says(HELPFUL, lambda k: RIGHT if k < right else WRONG)
    outcome = await run("critique", MISTAKE, model, refinements=4, least_helped=0.3)
    if kept:
        (made,) = outcome.corrections
        assert made.fields == {"critique": HELPFUL, "helped": f"{right}/4"} and made.revision == RIGHT
        assert (made.requests, made.cost, made.wrong_step, made.explanation) == (5, 5.0, 0, "25 + 12 is 37, not 38.")
    else:
        (drop,) = outcome.drops
        assert (drop.reason, drop.requests, drop.cost) == ("unhelpful", 5, 5.0) and f"{right} of 4" in drop.detail


async def test_what_a_student_spends_on_refinements_is_a_judgement_of_its_own() -> None:
    student, recipe = says("", lambda k: RIGHT if k < 1 else WRONG), open_recipe(
        RecipeConfig(name="critique", options={"inject": 0, "refinements": 3, "refiner": "student"})
    )  # fmt: skip
    outcome = await recipe.correct(MISTAKE, says(HELPFUL), student)  # type: ignore[arg-type]
    ((made,), (judged,)) = outcome.corrections, outcome.judgements
    assert (made.requests, made.cost) == (1, 1.0)
    assert (judged.by, judged.requests, judged.cost) == ("student", 3, 3.0) and "1 of 3" in judged.reason


async def test_flawed_solutions_come_in_three_ways() -> None:
    async def student(messages: Sequence[Message], sampling: Sampling) -> Completion:
        assert messages[-1].role == "assistant" and RIGHT.startswith(messages[-1].content)
        return Completion("Step 2: 37 - 7 = 31.\nThe answer is 31.", "stop", "s", 3, 2)

    async def teacher(messages: Sequence[Message], sampling: Sampling) -> Completion:
        return Completion(reply(messages, sampling.json_schema is not None), "stop", "t", 3, 2)

    recipe = open_recipe(RecipeConfig(name="critique", options={"inject": 2, "resample": 3, "refinements": 1}))
    outcome = await recipe.correct(MISTAKE, teacher, student)
    origins = {g.attempt.id: g.attempt.origin for g in (*MISTAKE.attempts, *outcome.attempts)}
    assert {origins[c.attempt_id] for c in outcome.corrections} == {"sampled", "injected", "resampled"}
    assert all(g.attempt.by_recipe and g.grade.verdict == "wrong" for g in outcome.attempts)
    # From one place the student goes on in one way here, so later ones are copies of it.
    assert "duplicate" in {d.reason for d in outcome.drops if d.stage == "resampling"}


async def test_what_cannot_be_criticized_or_gone_on_from_says_why() -> None:
    async def never(messages: Sequence[Message], sampling: Sampling) -> Completion:
        raise AssertionError("nothing is to be asked")

    recipe = open_recipe(RecipeConfig(name="critique", options={"inject": 0, "resample": 1, "reference": ["right"]}))
    alone = await recipe.correct(graded((WRONG, "wrong"), (" \n", "wrong")), never, never)
    assert sorted(d.reason for d in alone.drops) == ["no_reference", "no_right_attempt", "no_steps"]
    short = await recipe.correct(graded((" ", "wrong"), ("30", "right")), never, never)
    assert sorted(d.reason for d in short.drops) == ["no_steps", "too_few_steps"]
    with pytest.raises(ConfigError, match="student"):
        await recipe.correct(MISTAKE, never, None)


@pytest.mark.parametrize(
    ("critique", "reason"),
    [
        (HELPFUL, "bad_step"),
        (WHOLE.replace(" - It should be 30.", ""), "no_answer"),
        (WHOLE.replace("be 30", "be 33"), "no_answer"),
        (WHOLE.replace("25 + 12 is 37, not 38.", "The reference solution has 37."), "reference_leak"),
    ],
)
async def test_rules_of_score(critique: str, reason: str) -> None:
    outcome = await run("score", MISTAKE, says(critique))
    assert not outcome.corrections and [d.reason for d in outcome.drops] == [reason]


async def test_score_finds_no_fault_with_a_step_that_ends_in_the_right_answer() -> None:
    odd = graded((f"{WRONG}\nStep 4: No, it is 30", "wrong"), (RIGHT, "right"))
    critique = WHOLE.replace("Final", "Step 4: wrong - No.\nFinal")
    assert [d.reason for d in (await run("score", odd, says(critique))).drops] == ["contradiction"]


async def test_score_needs_a_right_attempt_for_its_hint_and_takes_hint_and_answer_out() -> None:
    alone = await run("score", graded((WRONG, "wrong")), says(WHOLE))
    assert [(d.reason, d.requests) for d in alone.drops] == [("no_right_attempt", 0)]
    leaking = WHOLE.replace("not 38.", "not 38. The reference solution says so.")
    (made,) = (await run("score", MISTAKE, says(leaking))).corrections
    assert made.fields["critique"] == HELPFUL and made.reference == "right"
    (made,) = (await run("score", MISTAKE, says(WHOLE), feedback="all")).corrections
    assert made.fields["critique"].count("wrong -") == 3 and "30" not in made.fields["critique"]
    unhelpful = await run("score", MISTAKE, says(WHOLE, lambda _: WRONG))
    assert [(d.reason, d.requests) for d in unhelpful.drops] == [("unhelpful", 2)]


def rows_of(name: str, row: GradedQuestion, corrections: Sequence[Correction], **options: object) -> list[list[str]]:
    whole, recipe = replace(row, corrections=tuple(corrections)), open_recipe(RecipeConfig(name=name, options=options))
    return [[example.target_text for example in recipe.to_examples(whole, c)] for c in corrections]


async def test_rows_hold_right_solutions_at_the_models_own_rate_and_parts_leave_out() -> None:
    right = [(RIGHT.replace("pebbles.", f"pebbles{'!' * k}"), "right") for k in range(6)]
    row = graded((WRONG, "wrong"), (WRONG.replace("so ", ""), "wrong"), *right)
    made = (await run("score", row, says(WHOLE))).corrections
    targets = rows_of("score", row, made)
    assert [len(some) for some in targets] == [4, 4]  # a correction and three right ones each, as 6 to 2
    assert targets[0][0] == f"{HELPFUL}\nCorrection:\n{RIGHT}" and set(targets[0][1:]) == {str(all_right(3))}
    assert [len(some) for some in rows_of("score", row, made, rights=1)] == [2, 2]
    assert [len(some) for some in rows_of("score", row, made, parts=["correction"])] == [1, 1]
    made = (await run("critique", row, says(HELPFUL))).corrections
    assert [some[:2] for some in rows_of("critique", row, made)] == [[HELPFUL, RIGHT]] * 2
    assert rows_of("critique", row, made, parts=["refinement"]) == [[RIGHT]] * 2


async def test_a_solution_that_is_right_by_luck_is_not_judged_right_step_by_step() -> None:
    lucky = RIGHT.replace("Step 1:", "Step 1: As 2 + 2 = 5,")
    for name in ("score", "critique"):
        row = graded((WRONG, "wrong"), (lucky, "right"), (RIGHT, "right"))
        made = (await run(name, row, says(WHOLE if name == "score" else HELPFUL))).corrections
        (rows,) = rows_of(name, row, made, rights=2)
        assert rows.count(str(all_right(3))) == 1


@pytest.mark.parametrize(
    ("name", "options"),
    [("critique", {"refinments": 3}), ("score", {"critic": "teacher"}), ("score", {"parts": ["x"]})],
)
def test_unknown_options_are_refused_with_those_there_are(name: str, options: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=f"recipe {name} has the options"):
        open_recipe(RecipeConfig(name=name, options=options))


def test_who_asks_the_student_says_so_beforehand() -> None:
    from lema_ray.recipes import AsksStudent

    def asked(name: str, **options: object) -> tuple[int, bool, int]:
        recipe = open_recipe(RecipeConfig(name=name, options=options))
        assert isinstance(recipe, AsksStudent)
        return recipe.student_requests(4), recipe.continues_student(), recipe.most_requests(4)

    assert asked("score") == (0, False, 4)
    assert asked("score", critic="student", refiner="student") == (4, False, 0)
    assert asked("critique", refinements=3) == (0, False, 2 + 3 * 4)
    assert asked("critique", refinements=3, refiner="student", resample=1) == (1 + 4 * 3, True, 2 + 4)
