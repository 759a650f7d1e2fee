"""What stands before a doubt is judged by recalculating the story, also where no answer was stated yet."""

from __future__ import annotations

from random import Random

from lema_ray.demo.before import story_before
from lema_ray.demo.erring import err
from lema_ray.demo.word_problems import generate
from lema_ray.grading import grade
from lema_ray.records import Attempt, GradedAttempt, GradedQuestion
from lema_ray.self_correction.measures import measure, trace


def test_doubts_after_wrong_and_right_steps_are_told_apart() -> None:
    rng, rows = Random(0), []
    for problem in generate(60, 4, min_steps=2):
        made = err(problem.story, "calculation", rng)
        right = (problem.question.solution or "").splitlines()
        if made is None:
            continue
        wrong = made.solution.splitlines()[: made.step]
        texts = (
            "\n".join([*wrong, "Wait, that is wrong.", *right[made.step - 1 :]]),
            "\n".join([right[0], "Hmm, let me check that.", *right]),
            "\n".join(right),
        )
        attempts = (
            GradedAttempt(Attempt(f"a{k}", t, "m"), grade(t, problem.question.reference)) for k, t in enumerate(texts)
        )
        rows.append(GradedQuestion(problem.question, tuple(attempts)))
    found = measure(rows, story_before)
    assert (found.wrong_to_right, found.right_to_wrong) == (len(rows), 0)
    assert found.rates()["doubt_precision"] == 0.5 and found.rates()["judged_doubts"] == 1.0
    assert found.rates()["first_accuracy"] == 2 / 3 and found.rates()["final_accuracy"] == 1.0
    stated = measure(rows)
    assert stated.rates()["judged_doubts"] == 0.0, "no answer is stated before these doubts"


def test_other_questions_are_judged_by_their_stated_answers() -> None:
    question = next(generate(1, 1)).question
    other = GradedQuestion(type(question)("q", "How many legs have 3 dogs?", "12", "t"))
    attempt = Attempt("a", "The answer is 9.\nWait, that is wrong.\nThe answer is 12.", "m")
    assert story_before(other, attempt, trace(attempt, other.question)) == "wrong"
