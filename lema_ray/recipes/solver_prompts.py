"""What the student is asked as a verifier, how its tests are read, and the options. Used by `solver_verifier`."""

from __future__ import annotations

from pydantic import Field

from lema_ray.attempts import question_text
from lema_ray.config import SamplingConfig, SandboxConfig, Section
from lema_ray.grading.program_tests import ProgramTest, read_tests
from lema_ray.recipes.recipe import Rejected
from lema_ray.records import Completion, Message, Question

WRITE_TESTS = """\
Do not solve this. Write tests that tell a right program from one that is nearly right: ordinary input, the smallest, \
and what lies exactly on a border. Work out every expected result by hand. Write {count} tests, each on one line, as
assert name_of_the_function(arguments) == expected_result"""
PARTS = ("solution", "tests", "solution_pair", "tests_pair")


class SolverOptions(Section):
    """How much is asked for, what counts as agreement, and which rows are taught. The figures are ours."""

    replies: int = Field(4, ge=1, description="times that the student is asked for tests of a question")
    tests: int = Field(5, ge=1, description="tests that each reply is asked for")
    most_tests: int = Field(40, ge=1, description="distinct tests of a question that are run")
    test_sampling: SamplingConfig = SamplingConfig(temperature=0.8, max_tokens=512)
    least_solutions: int = Field(2, ge=2, description="solutions that have to agree")
    least_tests: int = Field(2, ge=1, description="tests that they have to pass")
    sandbox: SandboxConfig = SandboxConfig()
    at_once: int = Field(2, ge=1, description="programs of a question that run at the same time")
    parts: tuple[str, ...] = Field(PARTS, description="rows to teach: " + ", ".join(PARTS))


def tests_prompt(question: Question, count: int) -> tuple[Message, ...]:
    """The request for tests, which rows of tests teach too."""
    return (Message("user", f"{question_text(question)}\n\n{WRITE_TESTS.format(count=count)}"),)


async def read_reply(reply: Completion) -> list[ProgramTest]:
    """The tests in a reply. Raises `Rejected` (`no_test`)."""
    if tests := read_tests(reply.text):
        return tests
    raise Rejected("no_test")
