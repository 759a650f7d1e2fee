"""Marks behind steps: true of every calculation, no steps themselves, and taught and given by whoever is to."""

import json
import re
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lema_ray.demo.diagnosis import diagnose, read_steps
from lema_ray.demo.erring import err
from lema_ray.demo.grammar import Calculation
from lema_ray.demo.homework import homework_lessons
from lema_ray.demo.marks import check, mark, marked
from lema_ray.demo.rules import reply
from lema_ray.demo.word_problems import WordProblem, generate
from lema_ray.recipes.lema_prompts import correction_prompt
from lema_ray.self_correction.doubts import find_doubts

PROBLEMS = list(generate(60, 5, max_value=299, marked=True))
numbers = st.integers(1, 299)


@given(numbers, st.sampled_from("+-*/"), numbers, st.integers(0, 299))
def test_a_check_holds_for_the_true_result_and_for_no_other(left: int, symbol: str, right: int, result: int) -> None:
    made = Calculation(left, symbol, right, result)
    assert check(made)[1] is (result == made.true_result)


def test_words_of_a_mark() -> None:
    assert mark(Calculation(62, "-", 27, 35)) == " Check: 35 + 27 is 62, right."
    assert mark(Calculation(62, "-", 27, 36)) == " Check: 36 + 27 is 63, wrong."
    assert mark(Calculation(3, "*", 4, 12)) == " Check: 4 * 3 is 12, right."


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda p: p.question.id)
def test_marked_solutions_are_solutions_and_doubt_nothing(problem: WordProblem) -> None:
    solution = problem.question.solution or ""
    assert solution.count(" Check: ") == solution.count(", right.") == len(problem.story.changes)
    assert marked(solution) == solution
    assert diagnose(problem.story, read_steps(solution)) is None
    assert not find_doubts(solution)


@pytest.mark.parametrize("as_json", [False, True])
def test_the_teacher_marks_its_steps_where_it_is_shown_marks_and_only_there(as_json: bool) -> None:
    for problem in PROBLEMS:
        wrong = err(problem.story, "calculation", Random(1))
        if wrong is None:
            continue
        plain, with_marks = (
            _solution(reply(correction_prompt(problem.question, attempt), as_json), as_json)
            for attempt in (wrong.solution, marked(wrong.solution))
        )
        assert " Check: " not in plain
        assert with_marks == marked(plain) and with_marks.count(" Check: ") == plain.count(", so ") > 0


def _solution(said: str, as_json: bool) -> str:
    return str(json.loads(said)["correct_solution"]) if as_json else said.partition("Correct Solution:\n")[2]


def test_homework_is_marked_rightly_and_its_slips_are_not_learned() -> None:
    slips = 0
    for lesson in homework_lessons(200, 20, 40, 299, 3):
        for a, symbol, b, c, said in re.findall(r"(\d+) ([-+*/]) (\d+) = (\d+)[^\n=]*?, (right|wrong)\.", lesson.text):
            made = Calculation(int(a), symbol, int(b), int(c))
            assert (made.result == made.true_result) is (said == "right")
        if lesson.prompt[0].content.endswith("Right or wrong?"):
            continue
        left_out = [span.text for span in lesson.answer if not span.learn]
        slips += sum("wrong" in span.text for span in lesson.answer)
        if "Step 1" in lesson.text:
            assert len(left_out) == lesson.text.count(", wrong.")
    assert slips > 30
