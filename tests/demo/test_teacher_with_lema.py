"""The seam that the demo stands on: what the LeMa recipe asks is what the teacher understands, in text and in JSON."""

import re
from collections.abc import Sequence
from random import Random

import pytest

from lema_ray.config import RecipeConfig
from lema_ray.demo.rules import reply
from lema_ray.demo.word_problems import WordProblem, generate
from lema_ray.recipes.lema import Lema
from lema_ray.records import Attempt, Completion, Grade, GradedAttempt, GradedQuestion, Message, Sampling


def slip(problem: WordProblem, rng: Random) -> tuple[int, GradedQuestion]:
    """The problem with one attempt that slips in a random step, and that step's index."""
    lines = problem.story.solution.splitlines()
    place = rng.randrange(len(lines) - 1)
    lines[place] = re.sub(r"= (\d+)", lambda m: f"= {int(m[1]) + 3}", lines[place])
    lines[-1] = f"The answer is {problem.story.answer + 3}."
    attempt = GradedAttempt(Attempt("a", "\n".join(lines), "student"), Grade("wrong", None))
    return place, GradedQuestion(problem.question, (attempt,))


@pytest.mark.parametrize("as_json", [False, True])
async def test_every_slip_becomes_a_correction_that_passes_all_checks(as_json: bool) -> None:
    async def teacher(messages: Sequence[Message], sampling: Sampling) -> Completion:
        return Completion(reply(messages, as_json), "stop", "teacher", 1, 1)

    rng = Random(0)
    for problem in generate(40, 5):
        place, graded = slip(problem, rng)
        outcome = await Lema(RecipeConfig()).correct(graded, teacher, None)
        assert not outcome.drops
        (correction,) = outcome.corrections
        assert correction.wrong_step == place
        assert correction.revision == problem.question.solution
