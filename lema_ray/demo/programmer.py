"""The rule-based programmer: solves the demo's programming problems and writes tests, and slips in both like a student.

`server --programs` puts it behind HTTP. It goes by nothing but the request's text and seed. Some slips are slips of the
moment, some are misunderstandings: the same one in every reply to a problem, in programs and in tests alike, as when a
model reads "up to 10" as "less than 10". Those are what agreement between solutions and tests cannot see.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from random import Random

from lema_ray.config import SandboxConfig
from lema_ray.demo.mutations import mutants
from lema_ray.demo.program_problems import Problem, read_problem
from lema_ray.records import Message, content_id
from lema_ray.sandbox import run_program

MODEL = "rule-based-programmer"
CANNOT = "I do not know problems of this kind."
SLIPS, MISUNDERSTOOD, MISTESTED, UNREADABLE = 0.35, 0.3, 0.25, 0.04
"""How often a program slips, how often that is the problem's own misunderstanding, how often a reply of tests is worked
out from a slip, and how often a reply cannot be read. Ours, for a student that is right more often than not.
"""
TESTS = 5
_SANDBOX = SandboxConfig(call_s=0.5, wall_s=20)


def reply(messages: Sequence[Message], seed: int | None = None) -> str:
    """A program for the problem in the last message, or tests of one; another for every seed."""
    asked = next((m.content for m in reversed(messages) if m.role == "user"), "")
    problem = read_problem(asked)
    if problem is None:
        return CANNOT
    rng = Random(content_id(asked, str(seed)))
    return _tests(problem, rng) if "Do not solve this" in asked else _solution(problem, rng)


def _solution(problem: Problem, rng: Random) -> str:
    program = _with_slip(problem, rng) if rng.random() < SLIPS else problem.program
    if rng.random() < UNREADABLE:
        program = program[: len(program) * 2 // 3] + " ("
    return f"{rng.choice(('A loop does it.', 'This follows the text.', 'Step by step:'))}\n```python\n{program}\n```"


def _with_slip(problem: Problem, rng: Random) -> str:
    """A program one slip away: often the one that this problem invites."""
    wrong = mutants(problem.program)
    own = Random(content_id("misunderstood", problem.text))
    return own.choice(wrong) if rng.random() < MISUNDERSTOOD else rng.choice(wrong)


def _tests(problem: Problem, rng: Random) -> str:
    if rng.random() < UNREADABLE:
        return "One should test small numbers, borders and an empty input."
    calls = list(dict.fromkeys(problem.call(rng) for _ in range(3 * TESTS)))[:TESTS]
    right = _results(problem.program, tuple(calls))
    slipped = _results(_with_slip(problem, rng), tuple(calls)) if rng.random() < MISTESTED else right
    return "\n".join(f"assert {call} == {value}" for call, value in zip(calls, slipped, strict=True) if value)


@lru_cache(maxsize=10_000)
def _results(program: str, calls: tuple[str, ...]) -> tuple[str, ...]:
    """What a program gives for some calls; nothing for those that fail or never end, which a slip may bring about."""
    ran = run_program(program, calls, _SANDBOX)
    texts = [result.text if result.kind == "value" else "" for result in ran.results]
    return (*texts, *[""] * (len(calls) - len(texts)))
