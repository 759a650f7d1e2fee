"""What the demo's programmer is taught: programs of which some slip, tests that hold, and half of the problems only."""

import ast

import pytest

from lema_ray.attempts import solve_prompt
from lema_ray.demo.program_lessons import program_lessons
from lema_ray.demo.program_problems import function_of, generate, problems, question_of, read_problem
from lema_ray.grading.program_tests import read_tests
from lema_ray.questions.errors import QuestionError
from lema_ray.questions.procedural import made_by_rule


def test_the_halves_have_nothing_in_common_and_are_all_there_is() -> None:
    taught, fresh = ({p.text for p in problems(300, seed, taught=half)} for seed, half in ((1, True), (2, False)))
    assert len(taught) == len(fresh) == 300 and not taught & fresh
    assert {q.text for q in generate(40, 3)} & taught and {q.text for q in generate(40, 3)} & fresh


def test_lessons_are_of_the_taught_half() -> None:
    for lesson in program_lessons(30, 2, 0):
        problem = read_problem(lesson.prompt[-1].content)
        assert problem is not None and problem.taught


def test_programs_are_python_and_three_in_ten_have_a_slip() -> None:
    programs = {solve_prompt(question_of(p))[-1].content: p.program for p in problems(100, 0, taught=True)}
    written = [(ls.text, programs[ls.prompt[-1].content]) for ls in program_lessons(100, 10, 0) if "```" in ls.text]
    assert len(written) == 1000
    for text, _ in written[:100]:
        ast.parse(text.removeprefix("```python\n").removesuffix("\n```"))
    slipped = sum(reference not in text for text, reference in written)
    assert 240 < slipped < 360


def test_the_tests_that_are_taught_hold() -> None:
    taught = [lesson for lesson in program_lessons(30, 2, 0) if "assert" in lesson.text]
    assert len(taught) == 60
    for lesson in taught:
        problem = read_problem(lesson.prompt[-1].content)
        assert problem is not None
        tests = read_tests(lesson.text)
        assert len(tests) >= 1
        assert all(repr(function_of(problem)(test.call)) == test.expected for test in tests)


def test_a_source_takes_one_half_and_no_unknown_option() -> None:
    asked = [q for _, q in made_by_rule("program_problems", 20, 1, {"taught": False})]
    assert len(asked) == 20 and not any(p.taught for q in asked if (p := read_problem(q.text)))
    with pytest.raises(QuestionError, match="program_problems"):
        list(made_by_rule("program_problems", 20, 1, {"half": 1}))
