"""What every recipe promises, whatever its method: lineage, costs, requests, drops, and rows that can be learned."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from slipping_student import SlippingStudent

from lema_ray import arrow
from lema_ray.config import RecipeConfig, SandboxConfig
from lema_ray.corrections import correct_question
from lema_ray.demo import program_problems
from lema_ray.demo.erring import MAKERS, err
from lema_ray.demo.mutations import mutants
from lema_ray.demo.rules import reply
from lema_ray.demo.word_problems import generate
from lema_ray.engines import EngineUnavailable, RequestRefused
from lema_ray.grading import grade
from lema_ray.grading.program_tests import ProgramTest, read_tests, write_reference
from lema_ray.recipes import RECIPES, AsksStudent, Outcome, open_recipe
from lema_ray.records import (
    Attempt,
    Completion,
    Dropped,
    Grade,
    GradedAttempt,
    GradedQuestion,
    Message,
    Question,
    Sampling,
    TrainingExample,
)
from lema_ray.sandbox import SandboxUnavailable, check_sandbox


class Teacher:
    """The rule-based teacher at a price, which counts its requests; `says` replaces what it says."""

    def __init__(self, says: str | Exception | None = None) -> None:
        self.says, self.requests = says, 0

    async def __call__(self, messages: Sequence[Message], sampling: Sampling) -> Completion:
        self.requests += 1
        if isinstance(self.says, Exception):
            raise self.says
        text = reply(messages, sampling.json_schema is not None) if self.says is None else self.says
        return Completion(text, "stop", "teacher", 10, 5, cost=0.25)


def questions(count: int, recipe: str = "") -> list[GradedQuestion]:
    """Questions of the recipe's kind with a right attempt and two different mistakes."""
    return list(programs(count)) if recipe == "solver_verifier" else word_problems(count)


@functools.cache
def programs(count: int) -> list[GradedQuestion]:
    """Programming problems with two right programs, one that slips and one that slips otherwise."""
    made = []
    for question in program_problems.generate(count, 3):
        problem = program_problems.read_problem(question.text)
        assert problem is not None and question.solution is not None
        slips = mutants(problem.program)
        texts = [question.solution, f"Again:\n{question.solution}", *(f"```python\n{p}\n```" for p in slips[:2])]
        graded = (GradedAttempt(Attempt(f"a{k}", text, "m"), grade_of(text, question)) for k, text in enumerate(texts))
        made.append(GradedQuestion(question, tuple(graded)))
    return made


def grade_of(text: str, question: Question) -> Grade:
    return grade(text, question.reference, task=question.task)


def teaches_the_right(target: str, whole: GradedQuestion) -> bool:
    """A target holds the reference answer, is a right program, or is tests that the question's own solution passes."""
    question = whole.question
    if question.task != "code":
        return question.reference in target
    tests = read_tests(target)
    return grade_of(question.solution or "" if tests else target, replace_reference(question, tests)).verdict == "right"


def replace_reference(question: Question, tests: list[ProgramTest]) -> Question:
    return replace(question, reference=write_reference(tests)) if tests else question


def word_problems(count: int) -> list[GradedQuestion]:
    """Word problems with a right attempt and two different mistakes."""
    rng, made = Random(0), []
    for problem in generate(count, 3, min_steps=2):
        right = GradedAttempt(Attempt("r", problem.question.solution or "", "m"), Grade("right", "?"))
        wrong = [e for kind in MAKERS if (e := err(problem.story, kind, rng))][:2]
        attempts = (GradedAttempt(Attempt(f"w{k}", e.solution, "m"), Grade("wrong", "?")) for k, e in enumerate(wrong))
        made.append(GradedQuestion(problem.question, (right, *attempts)))
    return made


@pytest.fixture(autouse=True)
def isolated(request: pytest.FixtureRequest) -> None:
    """Programs are run in sandboxes, which not every machine permits."""
    if "solver_verifier" in request.node.name:
        try:
            check_sandbox(SandboxConfig())
        except SandboxUnavailable as error:
            pytest.skip(f"this machine permits no isolation: {error}")


every_recipe = pytest.mark.parametrize("name", RECIPES)


@every_recipe
async def test_corrections_are_right_and_everything_is_accounted_for(name: str) -> None:
    recipe, teacher, student = open_recipe(RecipeConfig(name=name)), Teacher(), SlippingStudent()
    rows, requests, cost = questions(15 if name != "solver_verifier" else 3, name), 0, 0.0
    corrections = 0
    for row in rows:
        before, asked = teacher.requests, student.requests
        outcome = await recipe.correct(row, teacher, student)
        made = [g.attempt for g in outcome.attempts]
        known = {g.attempt.id for g in row.attempts} | {a.id for a in made}
        corrections += len(outcome.corrections)
        assert all(c.recipe == recipe.name == name for c in outcome.corrections)
        assert {c.attempt_id for c in outcome.corrections} <= known
        assert len({c.id for c in outcome.corrections}) == len(outcome.corrections)
        assert all(d.stage and d.id and d.reason for d in outcome.drops)
        paid = [*outcome.corrections, *outcome.drops, *outcome.analyses, *outcome.judgements]
        requests += sum(p.requests for p in paid) + len(made)
        cost += sum(p.cost for p in paid) + sum(a.cost for a in made)
        assert teacher.requests - before <= recipe.most_requests(3)
        assert student.requests - asked <= (recipe.student_requests(3) if isinstance(recipe, AsksStudent) else 0)
        whole = GradedQuestion(row.question, row.attempts + outcome.attempts, outcome.corrections, outcome.drops)
        assert arrow.from_table(GradedQuestion, arrow.to_table([whole], GradedQuestion)) == [whole]
        for correction in outcome.corrections:
            check_rows(recipe.to_examples(whole, correction), whole, correction.id)
    assert corrections >= len(rows)
    assert requests == teacher.requests + student.requests and cost == pytest.approx(0.25 * requests)


@every_recipe
async def test_what_it_asks_is_told_apart_from_what_others_ask(name: str) -> None:
    (row,) = questions(1, name)
    teacher, student = Teacher(), SlippingStudent()
    recipes = [open_recipe(RecipeConfig(name=name)), *([open_recipe(RecipeConfig())] if name != "lema" else [])]
    done = await correct_question(row, teacher, recipes=recipes, student=student)
    asked = {(spent.recipe, spent.by): spent.requests for spent in done.spent}
    mine = sum(requests for (recipe, _), requests in asked.items() if recipe == name)
    outcome = await recipes[0].correct(row, Teacher(), SlippingStudent())
    paid = [*outcome.corrections, *outcome.drops, *outcome.analyses, *outcome.judgements]
    assert mine == sum(p.requests for p in paid) + len(outcome.attempts) > 0
    assert sum(asked.values()) == teacher.requests + student.requests
    assert sum(spent.cost for spent in done.spent) == pytest.approx(0.25 * sum(asked.values()))


def check_rows(rows: list[TrainingExample], whole: GradedQuestion, correction_id: str) -> None:
    for row in rows:
        assert row.question_id == whole.question.id and row.correction_id == correction_id
        assert any(whole.question.text in m.content for m in row.prompt if m.role == "user")
        assert any(span.learn and span.text.strip() for span in row.target)
        assert row.prompt[-1].role == "user" and row.target_text == row.target_text.lstrip()
        if row.rejected is not None:
            # What is preferred is, or begins, a right solution; what is not differs from it, and goes on from the same.
            own = [*(a.text.strip() for a in whole.right), *(c.fields.get("tests", "") for c in whole.corrections)]
            assert any(text.startswith(row.target_text) for text in own)
            assert "".join(span.text for span in row.rejected) != row.target_text
            given = [[span.text for span in side if not span.learn] for side in (row.target, row.rejected)]
            assert given[0] == given[1]
    targets = [row.target_text for row in rows if row.rejected is None]
    assert not targets or any(teaches_the_right(target, whole) for target in targets)  # a critique may lack it
    assert len({row.id for row in rows}) == len(rows)


@every_recipe
async def test_the_same_question_gives_the_same_outcome(name: str) -> None:
    (row,) = questions(1, name)
    first, second = [
        await open_recipe(RecipeConfig(name=name)).correct(row, Teacher(), SlippingStudent()) for _ in range(2)
    ]
    assert first == second


@every_recipe
async def test_a_question_without_mistakes_costs_nothing(name: str) -> None:
    (row,) = questions(1, name)
    teacher, student = Teacher(), SlippingStudent()
    outcome = await open_recipe(RecipeConfig(name=name)).correct(
        GradedQuestion(row.question, row.attempts[:1]), teacher, student
    )
    assert teacher.requests == student.requests == 0 and outcome.corrections == () and outcome.drops == ()


@every_recipe
async def test_a_refused_request_is_a_drop_and_a_dead_engine_stops_everything(name: str) -> None:
    (row,) = questions(1, name)
    recipe = open_recipe(RecipeConfig(name=name))
    refused, gone = RequestRefused("content_filter", "not this one"), EngineUnavailable("it is gone")
    outcome = await recipe.correct(row, Teacher(refused), SlippingStudent(refused))
    assert nothing_was_made(outcome) and {d.reason for d in outcome.drops} == {"content_filter"}
    with pytest.raises(EngineUnavailable):
        await recipe.correct(row, Teacher(gone), SlippingStudent(gone))


def nothing_was_made(outcome: Outcome) -> bool:
    """No attempt and no correction rests on a reply; pairs of attempts that were there already need none."""
    return outcome.attempts == () and all(c.requests == 0 for c in outcome.corrections)


@every_recipe
@settings(max_examples=40)
@given(
    text=st.text(max_size=80) | st.sampled_from(["{", "[]", '{"doubt": 3}', "Incorrect Step: 10**9", "Step 1:\n" * 9])
)
async def test_no_reply_breaks_it(name: str, text: str) -> None:
    (row,) = questions(1, name)
    outcome = await open_recipe(RecipeConfig(name=name)).correct(row, Teacher(text), SlippingStudent(text))
    assert nothing_was_made(outcome)
    assert all(isinstance(d, Dropped) and d.cost > 0 for d in outcome.drops) and outcome.drops


@every_recipe
def test_its_first_request_can_be_shown_before_anything_is_asked(name: str) -> None:
    (row,) = questions(1, name)
    prompt = open_recipe(RecipeConfig(name=name)).preview(row.question, row.wrong[0].text)
    assert row.question.text in prompt[-1].content
    if name != "solver_verifier":  # whose requests for tests show no solution
        assert row.wrong[0].text.splitlines()[0] in prompt[-1].content
