"""What the tiny programmer is taught: programs and tests of the demo's programming problems, with slips in both.

`programming_model` trains on these. A model that was shown faultless programs alone would have nothing to learn from
its own; the rates are ours.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from lema_ray.attempts import solve_prompt
from lema_ray.demo.lessons import Lesson
from lema_ray.demo.mutations import mutants
from lema_ray.demo.program_problems import Problem, function_of, problems, question_of
from lema_ray.recipes.solver_prompts import SolverOptions, tests_prompt
from lema_ray.records import Span

SLIPS = 0.3
"""How many of the programs have a slip."""
TESTS = 5


def program_lessons(count: int, each: int, seed: int) -> list[Lesson]:
    """Of `count` problems of the half that is taught, `each` programs and as many replies with tests, shuffled."""
    rng = Random(f"program lessons {seed}")
    made = [lesson for problem in problems(count, seed, taught=True) for lesson in _lessons(problem, each, rng)]
    rng.shuffle(made)
    return made


def _lessons(problem: Problem, each: int, rng: Random) -> Iterator[Lesson]:
    question, slips = question_of(problem), mutants(problem.program)
    for _ in range(each):
        program = rng.choice(slips) if rng.random() < SLIPS else problem.program
        yield Lesson(solve_prompt(question), (Span(f"```python\n{program}\n```"),))
        yield Lesson(tests_prompt(question, SolverOptions().tests), (Span(_tests(problem, rng)),))


def _tests(problem: Problem, rng: Random) -> str:
    run = function_of(problem)
    calls = list(dict.fromkeys(problem.call(rng) for _ in range(3 * TESTS)))[:TESTS]
    return "\n".join(f"assert {call} == {run(call)!r}" for call in calls)
