"""The `s3c` recipe: wrong steps branched off right solutions, judged by rollouts, doubted and mended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random

import pytest
from slipping_student import SlippingStudent
from test_every_recipe import Teacher, questions
from test_rise import QUESTION, RIGHT, STEPS, WRONG, row

from lema_ray.config import ConfigError, RecipeConfig, parse_config
from lema_ray.planning.student import asked_student
from lema_ray.recipes import Recipe, open_recipe
from lema_ray.records import Completion, GradedQuestion, Message, Question, Sampling


def recipe(count: int = 2, **options: object) -> Recipe:
    return open_recipe(RecipeConfig(name="s3c", corrections_per_question=count, options=options))


class Student:
    """At step 1 it always takes the same other step, after which nothing ends right; elsewhere it goes on rightly."""

    def __init__(self, other: str = "Step 1: 34 + 6 = 40 are left.") -> None:
        self.other, self.begun = other, list[str]()

    async def __call__(self, messages: Sequence[Message], sampling: Sampling) -> Completion:
        begun = messages[-1].content if messages[-1].role == "assistant" else ""
        self.begun.append(begun)
        text = self._after(begun)
        for stop in sampling.stop:
            text = text.split(stop)[0]
        return Completion(text, "stop", "student", 10, 5, 0.25)

    def _after(self, begun: str) -> str:
        if not begun:
            return f"{self.other}\nThe answer is 20."
        return RIGHT.removeprefix(begun) if RIGHT.startswith(begun) else "The answer is 20."


def doubts(text: str = "Doubt: Wait, she loses 6, so I must not add.") -> Teacher:
    return Teacher(text)


async def test_a_row_is_wrong_step_doubt_right_step_with_the_wrong_one_masked() -> None:
    made = recipe()
    outcome = await made.correct(row(), doubts(), Student())
    (correction,) = outcome.corrections
    whole = replace(row(), attempts=row().attempts + outcome.attempts)
    (example,) = made.to_examples(whole, correction)
    assert example.target_text == f"Step 1: 34 + 6 = 40 are left.\nWait, she loses 6, so I must not add.\n{RIGHT}"
    assert [span.text for span in example.target if not span.learn] == ["Step 1: 34 + 6 = 40 are left."]
    assert correction.revision == RIGHT and correction.wrong_step == 0 and correction.requests == 1
    (judgement,) = outcome.judgements
    assert (judgement.requests, judgement.model, judgement.by) == (16, "student", "student")
    assert (
        outcome.attempts[0].grade.reason == "0 of 8 rollouts end right, 8 of 8 rollouts end right from the right step"
    )
    assert {d.reason for d in outcome.drops} == {"duplicate", "same_step", "no_wrong_step"}


async def test_parts_learn_the_wrong_step_or_leave_the_words_out() -> None:
    outcome = await recipe().correct(row(), doubts(), Student())
    whole = replace(row(), attempts=row().attempts + outcome.attempts)
    rows = {
        parts: recipe(parts=list(parts)).to_examples(whole, outcome.corrections[0])[0]
        for parts in ((), ("reflection",), ("reflection", "learn_wrong_step"))
    }
    assert rows[()].target_text == f"Step 1: 34 + 6 = 40 are left.\n{RIGHT}"
    assert all(span.learn for span in rows["reflection", "learn_wrong_step"].target)
    assert len({example.id for example in rows.values()}) == 3


async def test_the_steps_before_stay_to_the_byte_and_are_continued() -> None:
    made = recipe(3, candidates=6)
    for graded in questions(8):
        student = SlippingStudent(slips=0.3)
        outcome = await made.correct(graded, Teacher(), student)
        right = graded.right[0].text
        whole = replace(graded, attempts=graded.attempts + outcome.attempts)
        for correction in outcome.corrections:
            (example,) = made.to_examples(whole, correction)
            before = example.target[0].text if len(example.target) == 3 else ""
            assert right.startswith(before) and example.target_text.endswith(right.removeprefix(before))
        for messages, _ in student.asked:
            if messages[-1].role == "assistant":
                assert messages[-1].content.endswith("\n") and messages[-1].content.strip()


async def test_a_solution_of_the_question_stands_in_for_a_right_attempt() -> None:
    question = replace(QUESTION, solution=RIGHT)
    outcome = await recipe().correct(row((WRONG, "wrong"), question=question), doubts(), Student())
    assert len(outcome.corrections) == 1 and outcome.corrections[0].attempt_id.startswith("q/branch")


@pytest.mark.parametrize(
    "graded, reason",
    [
        (row((WRONG, "wrong")), "no_right_attempt"),
        (row((f"{STEPS[0]}Wait, that is wrong.\n{RIGHT}", "right"), (WRONG, "wrong")), "doubts_itself"),
        (row(("The answer is 14.", "right"), (WRONG, "wrong")), "cannot_split"),
        (row(question=replace(QUESTION, task="choice", choices=("a", "b"))), "cannot_split"),
    ],
)
async def test_questions_of_no_use_say_why(graded: GradedQuestion, reason: str) -> None:
    student = Student()
    outcome = await recipe().correct(graded, doubts(), student)
    assert [d.reason for d in outcome.drops] == [reason] and student.begun == [] and outcome.corrections == ()


@pytest.mark.parametrize(
    "says, reason",
    [
        ("Doubt: She loses 6.", "no_doubt"),
        ("Doubt: Wait, step 7 is wrong.", "bad_step"),
        ("Doubt: Wait, the right step subtracts.", "reference_leak"),
        ("I find no mistake.", "called_right"),
        ("{}", "unreadable_reply"),
    ],
)
async def test_a_bad_reflection_is_a_drop_and_what_was_sampled_is_not_lost(says: str, reason: str) -> None:
    outcome = await recipe(1).correct(
        row((f"{STEPS[0]}The answer is 14.", "right"), (WRONG, "wrong")), doubts(says), Student()
    )
    assert outcome.corrections == () == outcome.attempts
    kept = {d.reason: d.requests for d in outcome.drops if d.reason != "duplicate"}
    assert kept == {reason: 1, "no_reflection": 17}


async def test_a_point_where_the_student_hardly_ever_succeeds_judges_nothing() -> None:
    class Lost(Student):
        def _after(self, begun: str) -> str:
            return "The answer is 20."

    outcome = await recipe(1).correct(row(), doubts(), Lost())
    assert [(d.reason, d.requests) for d in outcome.drops] == [("shaky_step", 8)]


async def test_a_cut_off_rollout_does_not_end_right_and_odd_steps_are_named() -> None:
    class Odd(Student):
        async def __call__(self, messages: Sequence[Message], sampling: Sampling) -> Completion:
            reply = await super().__call__(messages, sampling)
            return replace(reply, text=" ", finish_reason="stop") if sampling.stop else reply

    outcome = await recipe(1).correct(row(), doubts(), Odd())
    assert {d.reason for d in outcome.drops} == {"empty_step", "no_wrong_step"}

    class CutOff(Student):
        async def __call__(self, messages: Sequence[Message], sampling: Sampling) -> Completion:
            return replace(await super().__call__(messages, sampling), finish_reason="length")

    outcome = await recipe(1).correct(row(), doubts(), CutOff())
    assert [d.reason for d in outcome.drops] == ["shaky_step"]


def planned(
    engine: dict[str, object], corrector: dict[str, object] | None = None, **changes: object
) -> Question | None:
    raw = {
        "name": "x",
        "questions": {"train": {"source": "word_problems"}},
        "students": [{"engine": engine}],
        "corrector": {"engine": corrector or {"type": "openai", "model": "m"}},
        "recipe": {"name": "s3c"},
    }
    return asked_student(parse_config(raw | changes))  # type: ignore[return-value]


def test_a_student_that_cannot_continue_is_refused_when_the_run_is_planned() -> None:
    endpoint = {"type": "openai", "model": "m"}
    with pytest.raises(ConfigError, match=r"recipe s3c has the student go on .* Set can_continue: true"):
        planned(endpoint)
    assert planned(endpoint | {"can_continue": True}) is not None
    assert planned({"type": "vllm", "model": "m"}) is not None
    assert planned(endpoint, recipe={"name": "rise"}) is not None, "editing a step is an ordinary request"
    assert planned(endpoint, recipe={"name": "rise", "options": {"editor": "corrector"}}) is None
    with pytest.raises(ConfigError, match="add one to students"):
        planned(endpoint, students=[], import_attempts={"path": "x"})


def test_two_vllm_engines_do_not_share_a_process() -> None:
    vllm = {"type": "vllm", "model": "m"}
    assert planned(vllm, vllm) is not None
    with pytest.raises(ConfigError, match="two vLLM engines in one process"):
        planned(vllm, vllm | {"model": "other"})
    apart = {"in_process": False}
    assert planned(vllm | apart, vllm | {"model": "other"} | apart) is not None


def test_seeds_differ_between_rollouts_and_are_the_same_in_every_run() -> None:
    seeds = [RecipeConfig().sampling.seeded("rollouts", str(k)).seed for k in range(50)]
    assert len(set(seeds)) == 50 and Random(seeds[0]).random() == Random(seeds[0]).random()
