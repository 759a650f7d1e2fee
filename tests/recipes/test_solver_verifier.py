"""Agreement of solutions and tests: who is believed, what is dropped and why, and collusion that is measured."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from lema_ray.config import RecipeConfig, SandboxConfig
from lema_ray.corrections import correct_question
from lema_ray.grading.program_tests import read_tests
from lema_ray.recipes import Outcome, open_recipe
from lema_ray.recipes.collusion import count_collusion
from lema_ray.records import (
    Attempt,
    Completion,
    Grade,
    GradedAttempt,
    GradedQuestion,
    Message,
    Question,
    Sampling,
    Verdict,
)
from lema_ray.sandbox import SandboxUnavailable, check_sandbox

DOUBLE, SQUARE, ENDLESS = "def f(x): return 2 * x", "def f(x): return x * x", "def f(x):\n while True: pass"
QUESTION = Question("q", "Double it.", '["assert f(3) == 6"]', "s", "code", solution=DOUBLE)
OPTIONS = {"replies": 2, "sandbox": {"call_s": 0.5}}


@pytest.fixture(scope="module", autouse=True)
def isolated() -> None:
    try:
        check_sandbox(SandboxConfig(call_s=0.5))
    except SandboxUnavailable as error:
        pytest.skip(f"this machine permits no isolation: {error}")


def question(*solutions: tuple[str, Verdict]) -> GradedQuestion:
    attempts = (GradedAttempt(Attempt(f"a{n}", text, "m"), Grade(v, None)) for n, (text, v) in enumerate(solutions))
    return GradedQuestion(QUESTION, tuple(attempts))


async def solve(graded: GradedQuestion, *replies: str) -> Outcome:
    said = iter(replies * 2)

    async def student(messages: Sequence[Message], sampling: Sampling) -> Completion:
        return Completion(next(said), "stop", "m", 10, 5, cost=1.0)

    recipe = open_recipe(RecipeConfig(name="solver_verifier", options=OPTIONS))
    return await recipe.correct(graded, student, student)


def reasons(outcome: Outcome) -> list[str]:
    return [f"{drop.stage} {drop.reason}" for drop in outcome.drops]


async def test_what_most_agree_on_is_taught_and_the_contrast_is_a_pair() -> None:
    graded = question((DOUBLE, "right"), (SQUARE, "wrong"), (f"Again\n{DOUBLE}", "right"), (ENDLESS, "wrong"))
    outcome = await solve(graded, "assert f(3) == 6\nassert f(2) == 4", "assert f(1) == 2\nassert f(5) == 25")
    best, *contrasts = outcome.corrections
    assert best.attempt_id == "a0" and best.strategy == "agreed" and best.cost == 2.0 and best.requests == 2
    assert best.fields["held_out"] == "right" and best.fields["tests_held_out"] == "3 of 3"
    assert {c.attempt_id: c.fields["failed"] for c in contrasts} == {"a1": "assert f(3) == 6", "a3": "assert f(3) == 6"}
    assert reasons(outcome) == ["programs never_ends", "tests refuted"]
    whole = GradedQuestion(QUESTION, graded.attempts, outcome.corrections)
    recipe = open_recipe(RecipeConfig(name="solver_verifier", options=OPTIONS))
    rows = [row for c in outcome.corrections for row in recipe.to_examples(whole, c)]
    assert [(row.target_text[:12], row.rejected is not None) for row in rows] == [
        ("def f(x): re", False),
        ("assert f(3) ", False),
        ("assert f(3) ", True),
        ("def f(x): re", True),
        ("def f(x): re", True),
    ]
    assert "f(5) == 25" not in rows[1].target_text and "f(5) == 25" in "".join(s.text for s in rows[2].rejected or ())
    only = open_recipe(RecipeConfig(name="solver_verifier", options={"parts": ["tests"]}))
    assert sum(len(only.to_examples(whole, c)) for c in outcome.corrections) == 1


async def test_agreement_on_what_is_wrong_is_believed_and_counted() -> None:
    graded = question((SQUARE, "wrong"), (DOUBLE, "right"), (SQUARE, "wrong"))
    outcome = await solve(graded, "assert f(3) == 9\nassert f(5) == 25")
    assert outcome.corrections[0].revision == SQUARE and outcome.corrections[0].fields["held_out"] == "wrong"
    counted = count_collusion([GradedQuestion(QUESTION, graded.attempts, outcome.corrections, outcome.drops)])
    assert "believed: 1 wrong (100.0%)" in counted and "solutions: 2 wrong (100.0%)" in counted


@pytest.mark.parametrize(
    ("solutions", "tests", "reason"),
    [
        ([DOUBLE, SQUARE], "assert f(3) == 6\nassert f(5) == 25", "agreement no_agreement"),
        ([DOUBLE, DOUBLE], "assert f(3) == 7\nassert f(5) == 11", "agreement no_agreement"),
        (
            [DOUBLE, DOUBLE, SQUARE, SQUARE],
            "assert f(3) == 6\nassert f(4) == 8\nassert f(5) == 25\nassert f(6) == 36",
            "agreement tie",
        ),
        ([DOUBLE, DOUBLE], "There are many.", "tests no_test"),
        ([DOUBLE, DOUBLE], "assert f(3) == 6\nassert f(4) == 8", "tests says_nothing"),
        ([DOUBLE, DOUBLE, "def f(:"], "assert f(3) == 6\nassert f(4) == 8", "programs syntax_error"),
        ([DOUBLE, DOUBLE, "No."], "assert f(3) == 6\nassert f(4) == 8", "programs no_program"),
        ([ENDLESS, ENDLESS], "assert f(3) == 6\nassert f(4) == 8", "programs never_ends"),
    ],
)
async def test_what_cannot_be_used_has_a_reason(solutions: list[str], tests: str, reason: str) -> None:
    outcome = await solve(question(*((text, "unsure") for text in solutions)), tests)
    assert reason in reasons(outcome)
    assert sum(d.cost for d in outcome.drops) + sum(c.cost for c in outcome.corrections) == 2.0


async def test_solutions_that_all_agree_teach_no_tests_and_no_pairs() -> None:
    outcome = await solve(question((DOUBLE, "right"), (DOUBLE, "right")), "assert f(3) == 6\nassert f(4) == 8")
    (only,) = outcome.corrections
    recipe = open_recipe(RecipeConfig(name="solver_verifier"))
    graded = question((DOUBLE, "right"), (DOUBLE, "right"))
    assert only.fields["tests"] == "" and len(recipe.to_examples(graded, only)) == 1


async def test_recipes_are_not_given_questions_of_another_kind() -> None:
    async def nobody(messages: Sequence[Message], sampling: Sampling) -> Completion:
        raise AssertionError("nobody is to be asked")

    recipes = [open_recipe(RecipeConfig(name=name)) for name in ("solver_verifier", "lema")]
    program, total = question((SQUARE, "wrong")), GradedQuestion(Question("q", "1 + 1?", "2", "s"))
    for graded, other in ((program, "lema is not for task code"), (total, "solver_verifier is not for task arithm")):
        done = await correct_question(graded, nobody, recipes=recipes, student=nobody)
        (drop,) = done.drops
        assert drop.reason == "other_task" and other in drop.detail


def test_reading_stops_where_a_reply_has_no_end() -> None:
    assert len(read_tests("\n".join(f"assert f({n}) == {n}" for n in range(900)))) == 200
