"""The `rise` recipe: pairs of attempts, pairs of steps, and what becomes of questions and edits that are of no use."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from slipping_student import SlippingStudent
from test_every_recipe import questions

from lema_ray.config import ConfigError, RecipeConfig
from lema_ray.recipes import Recipe, open_recipe
from lema_ray.records import (
    UNFINISHED,
    Attempt,
    Completion,
    Grade,
    GradedAttempt,
    GradedQuestion,
    Message,
    Question,
    Sampling,
    Span,
    TrainingExample,
)

QUESTION = Question("q", "Ana has 34 marbles. She loses 6. Then she halves them. How many has she?", "14", "test")
STEPS = ("Step 1: 34 - 6 = 28 are left.\n", "Step 2: Half of 28 is 28 / 2 = 14.\n", "The answer is 14.")
RIGHT = "".join(STEPS)
WRONG = "Step 1: 34 / 2 = 17.\nThe answer is 17."


def row(*attempts: tuple[str, str], question: Question = QUESTION) -> GradedQuestion:
    given = attempts or ((RIGHT, "right"), (WRONG, "wrong"))
    graded = (
        GradedAttempt(Attempt(f"a{k}", text, "m"), Grade(verdict, None))  # type: ignore[arg-type]
        for k, (text, verdict) in enumerate(given)
    )
    return GradedQuestion(question, tuple(graded))


class Editor:
    """Replies with what a function makes of the step to edit."""

    def __init__(self, edit: Callable[[str], str]) -> None:
        self.edit, self.ways = edit, list[str]()

    async def __call__(self, messages: Sequence[Message], sampling: Sampling) -> Completion:
        target = messages[-1].content.rpartition("Step To Edit:\n")[2]
        step, _, way = target.partition("\n\nEdit: ")
        self.ways.append(way)
        return Completion(self.edit(step), "stop", "editor", 10, 5, 0.5)


def recipe(**options: object) -> Recipe:
    return open_recipe(RecipeConfig(name="rise", options=options))


def one_more(step: str) -> str:
    """The result of the step's calculation is off by one."""
    return "Edited Step: " + step.replace("= 28 are", "= 29 are").replace("= 14", "= 15")


async def pairs(graded: GradedQuestion, **options: object) -> dict[str, TrainingExample]:
    made = recipe(**options)
    outcome = await made.correct(graded, Editor(one_more), Editor(one_more))
    whole = replace(graded, attempts=graded.attempts + outcome.attempts)
    return {c.strategy or "": example for c in outcome.corrections for example in made.to_examples(whole, c)}


async def test_a_pair_of_solutions_and_a_pair_of_steps() -> None:
    made = await pairs(row())
    full, step = made["full"], made["step"]
    assert (full.target_text, full.rejected[0].text) == (RIGHT, WRONG)  # type: ignore[index]
    assert [m.role for m in full.prompt] == ["user"]
    *before, right, unfinished = step.target
    assert unfinished == UNFINISHED and [span.text for span in before] in ([], [STEPS[0]])
    assert RIGHT.startswith(step.target_text) and all(not span.learn for span in before)
    assert step.rejected == (*before, Span(one_more(right.text).removeprefix("Edited Step: ")), UNFINISHED)


async def test_parts_choose_which_pairs_become_rows() -> None:
    assert set(await pairs(row(), parts=["full"])) == {"full"}
    assert set(await pairs(row(), parts=["step"])) == {"step"}


async def test_more_edits_are_of_different_steps_and_the_answer_is_never_edited() -> None:
    editor = Editor(one_more)
    outcome = await recipe(edits=5).correct(row(), editor, editor)
    assert [c.wrong_step for c in outcome.corrections if c.strategy == "step"] == [0, 1]
    assert {a.attempt.origin for a in outcome.attempts} == {"edited"}
    assert all(a.grade.verdict == "wrong" for a in outcome.attempts)
    assert GradedQuestion(QUESTION, outcome.attempts).wrong == ()


async def test_boxes_leave_the_rejected_step() -> None:
    boxed = (
        "Step 1: 34 - 6 = 28.\nStep 2: Half of it is $28 / 2 = \\boxed{14}$, which is the answer.\nThe answer is 14."
    )
    outcome = await recipe(edits=2).correct(row((boxed, "right"), (WRONG, "wrong")), None, Editor(_boxed))  # type: ignore[arg-type]
    edited = [c.fields for c in outcome.corrections if c.wrong_step == 1]
    assert edited and "boxed" in edited[0]["right"] and "= 15$, which" in edited[0]["wrong"]


def _boxed(step: str) -> str:
    return "Edited Step: " + step.replace("{14}", "{15}")


@pytest.mark.parametrize(
    "says, reason",
    [
        (lambda step: f"Edited Step: {step}", "no_change"),
        (lambda step: step.replace("28", "29"), "unreadable_reply"),
        (lambda step: "Edited Step: It is something else altogether, as everybody knows.", "too_different"),
        (lambda step: one_more(step) + " I changed it so that it is wrong", "gives_itself_away"),
        (lambda step: "Edited Step: " + step.replace("Step", "In step"), "not_wrong"),
    ],
)
async def test_a_bad_edit_is_a_drop_with_its_cost(says: Callable[[str], str], reason: str) -> None:
    outcome = await recipe(similarity=0.55).correct(row(), None, Editor(says))  # type: ignore[arg-type]
    (drop,) = outcome.drops
    assert (drop.stage, drop.reason, drop.requests, drop.cost) == ("edits", reason, 1, 0.5)
    assert outcome.attempts == () and [c.strategy for c in outcome.corrections] == ["full"]


@pytest.mark.parametrize(
    "graded, stage, reason, made",
    [
        (row((WRONG, "wrong")), "corrections", "no_right_attempt", 0),
        (row((f"Wait, that is wrong. {RIGHT}", "right"), (WRONG, "wrong")), "corrections", "doubts_itself", 0),
        (row(("The answer is 14.", "right"), (WRONG, "wrong")), "edits", "cannot_split", 1),
        (
            row(("34 - 6 = 29.\nHalf is 14.", "right"), (WRONG, "wrong")),
            "corrections",
            "right_by_luck",
            0,
        ),
        (row(("Step 1: We take some.\nThe answer is 14.", "right"), (WRONG, "wrong")), "edits", "nothing_to_edit", 1),
        (row(("We take six.\nThat makes 14.\nThe answer is 14.", "right"), (WRONG, "wrong")), "edits", None, 2),
        (row(question=replace(QUESTION, task="choice", choices=("a", "b"))), "edits", "cannot_split", 1),
    ],
)
async def test_questions_of_no_use_say_why(graded: GradedQuestion, stage: str, reason: str | None, made: int) -> None:
    editor = Editor(lambda step: "Edited Step: " + step.replace("14", "15"))
    outcome = await recipe().correct(graded, editor, editor)
    assert [(d.stage, d.reason) for d in outcome.drops] == ([(stage, reason)] if reason else [])
    assert len(outcome.corrections) == made


async def test_what_numbers_cannot_show_rollouts_can() -> None:
    options = {"prove": ["rollouts"], "editor": "corrector", "edits": 1, "rollouts": 6}
    proven, kept = 0, 0
    for graded in questions(12):
        edit = Editor(lambda step: "Edited Step: " + step.replace(" = ", " = 1"))
        student = SlippingStudent(slips=0.0)
        outcome = await recipe(**options).correct(graded, edit, student)
        assert student.requests == 6 * len(edit.ways)
        proven += len(outcome.judgements)
        assert all(j.verdict == "wrong" and j.by == "student" and j.requests == 6 for j in outcome.judgements)
        same = Editor(lambda step: "Edited Step: " + step.replace(", so", ", and so"))
        outcome = await recipe(**options).correct(graded, same, SlippingStudent(slips=0.0))
        kept += [d.reason for d in outcome.drops].count("not_wrong")
    assert proven == kept == 12


def test_the_editor_and_the_proof_decide_whether_the_student_is_asked() -> None:
    asked = {
        (): (0, 1, False),
        ("corrector",): (1, 0, False),
        ("corrector", "rollouts"): (1, 8, True),
        ("student", "rollouts"): (0, 9, True),
    }
    for chosen, (corrector, student, continues) in asked.items():
        options = dict(zip(("editor", "prove"), chosen, strict=False))
        made = recipe(**{k: [v] if k == "prove" else v for k, v in options.items()})
        needs = (made.most_requests(4), made.student_requests(4), made.continues_student())  # type: ignore[attr-defined]
        assert needs == (corrector, student, continues)


def test_wrong_options_are_named() -> None:
    with pytest.raises(ConfigError, match="no edit change everything; there are change a number"):
        recipe(kinds=["change everything"])
    with pytest.raises(ConfigError, match=r"recipe.options.editor.*\nrecipe rise has the options"):
        recipe(editor="nobody")
