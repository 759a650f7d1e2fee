"""Sol-Ver: one model writes programs and tests, and what agrees teaches both (arXiv 2502.14948).

Kept from the paper: the student is solver and verifier; all its solutions of a question run against all its tests; what
is consistent becomes SFT rows of solutions and of tests, what is not becomes preference pairs for DPO; no label is
looked at; rounds are runs (`rounds`). Ours, as there is no code: the prompts, the form of tests (`program_tests`), the
weights (`agreement`), tests that everything passes are not taught. The solutions are the run's attempts, so that
methods can be compared on the same ones. The questions' own tests grade the attempts as everywhere, but here they only
measure collusion, agreement on what is wrong (`lema collusion`). Left out: making questions from snippets of code.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import ClassVar

from lema_ray.config import ConfigError, RecipeConfig
from lema_ray.engines import Generate
from lema_ray.grading.program_tests import ProgramTest
from lema_ray.grading.programs import run_tests, side_by_side
from lema_ray.recipes.agreement import Candidate, agree, programs_in
from lema_ray.recipes.asking import Spent, ask, needed_student, read_options
from lema_ray.recipes.collusion import held_out
from lema_ray.recipes.recipe import Outcome, Rejected
from lema_ray.recipes.rows import corrected_attempt, row_of
from lema_ray.recipes.solver_corrections import agreed, contrasts
from lema_ray.recipes.solver_prompts import PARTS, SolverOptions, read_reply, tests_prompt
from lema_ray.records import (
    Attempt,
    Completion,
    Correction,
    Dropped,
    GradedQuestion,
    Message,
    Question,
    Span,
    Task,
    TrainingExample,
)

Written = tuple[list[ProgramTest], Completion]


@dataclass(frozen=True)
class SolverVerifier:
    """The recipe. Its options are `SolverOptions`."""

    config: RecipeConfig
    name: str = "solver_verifier"
    tasks: ClassVar[tuple[Task, ...]] = ("code",)

    def __post_init__(self) -> None:
        if unknown := set(self.options.parts) - set(PARTS):
            raise ConfigError(f"recipe.options.parts: no {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")

    @cached_property
    def options(self) -> SolverOptions:
        """The checked options."""
        return read_options(SolverOptions, self.config.options, self.name)

    def preview(self, question: Question, solution: str) -> tuple[Message, ...]:
        """The request for tests; it shows no solution."""
        return tests_prompt(question, self.options.tests)

    def most_requests(self, samples: int) -> int:
        """None: the student does it all."""
        return 0

    def student_requests(self, samples: int) -> int:
        """The replies with tests."""
        return self.options.replies if self.config.corrections_per_question else 0

    def continues_student(self) -> bool:
        """Never: these are ordinary requests."""
        return False

    async def correct(self, graded: GradedQuestion, corrector: Generate, student: Generate | None) -> Outcome:
        """What the student's own solutions and tests of one question agree on, and what contradicts that."""
        question = graded.question
        programs, drops = programs_in([g.attempt for g in graded.finished])
        if len(programs) < 2 or not self.config.corrections_per_question:
            return Outcome(drops=tuple(drops))  # one solution has nothing to agree with
        asked = await asyncio.gather(
            *(self._ask(question, needed_student(student, self.name), n) for n in range(self.options.replies))
        )
        written = [one for one in asked if not isinstance(one, Dropped)]
        drops += [one for one in asked if isinstance(one, Dropped)]
        if not written:
            return Outcome(drops=tuple(drops))
        spent = Spent.of(*(reply for _, reply in written))
        tests = list(dict.fromkeys(test for some, _ in written for test in some))[: self.options.most_tests]
        candidates = await asyncio.to_thread(self._run, programs, tests)
        drops += [Dropped("programs", c.attempt.id, "never_ends") for c in candidates if c.never_ends]
        try:
            found = agree(candidates, tests, self.options.least_solutions, self.options.least_tests)
        except Rejected as rejected:
            passed = f"{len(tests)} tests, passed: {', '.join(str(sum(c.tested.held)) for c in candidates)}"
            return Outcome(drops=(*drops, spent.on(Dropped("agreement", question.id, rejected.reason, passed))))
        drops += [Dropped("tests", question.id, "says_nothing", str(test)) for test in found.silent]
        drops += [Dropped("tests", question.id, "refuted", str(test)) for test in found.refuted]
        best = agreed(self.name, found, [(some, reply.text) for some, reply in written])
        measured = await asyncio.to_thread(held_out, graded, best.attempt_id, found.telling, self.options.sandbox)
        best = spent.on(replace(best, fields={**best.fields, **measured}))
        return Outcome((best, *contrasts(self.name, found, tests, self.config.corrections_per_question)), tuple(drops))

    async def _ask(self, question: Question, student: Generate, number: int) -> Written | Dropped:
        row = f"{question.id}/t{number}"
        sampling = self.options.test_sampling.seeded(self.name, row)
        return await ask(student, tests_prompt(question, self.options.tests), sampling, "tests", row, read_reply)

    def _run(self, programs: Sequence[tuple[Attempt, str]], tests: Sequence[ProgramTest]) -> list[Candidate]:
        run = partial(run_tests, tests=tests, config=self.options.sandbox)
        tested = side_by_side(run, [program for _, program in programs], self.options.at_once)
        return [Candidate(attempt, program, t) for (attempt, program), t in zip(programs, tested, strict=True)]

    def to_examples(self, graded: GradedQuestion, correction: Correction) -> list[TrainingExample]:
        """SFT rows of the solution and the tests agreed on; a pair of solutions, or of tests, where one is refuted."""
        parts, question, rows = self.options.parts, graded.question, list[TrainingExample]()
        chosen, asked = [Span(correction.revision)], tests_prompt(question, self.options.tests)
        if correction.strategy == "contrast":
            rejected = [Span(corrected_attempt(graded, correction).text.strip())]
            pair = row_of(graded, correction, chosen, ["solution_pair"], rejected=rejected)
            return [pair] if "solution_pair" in parts else []
        if "solution" in parts:
            rows.append(row_of(graded, correction, chosen, ["solution"]))
        if (tests := correction.fields["tests"]) and "tests" in parts:
            rows.append(row_of(graded, correction, [Span(tests)], ["tests"], asked))
        if tests and (worse := correction.fields.get("worse")) and "tests_pair" in parts:
            rows.append(row_of(graded, correction, [Span(tests)], ["tests_pair"], asked, [Span(worse)]))
        return rows
