"""S3c-Math: spontaneous step-level self-correction (arXiv 2409.01524). A step goes wrong, is doubted, and is mended.

Kept from the paper: right step-by-step solutions are branched off at a step by sampling the student's next step there,
candidates are judged by rollouts, and a row is the steps before, the wrong step, a reflection, and the right step with
what follows, with the wrong step masked in the loss (`parts: [learn_wrong_step]` learns it, `[]` leaves the words out).
Ours: the student's own right solution before the question's own; numbers of rollouts and thresholds; a point is used
only where its right step mostly ends right, or good steps of hard questions would pass for wrong; at most one row a
point, `corrections_per_question` points; the corrector writes the reflection. Left out: MetaMathQA as it was, a source
of questions like others; rows with several wrong steps.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from functools import cached_property, partial
from random import Random

from lema_ray.config import RecipeConfig
from lema_ray.engines import Generate
from lema_ray.recipes.asking import ask, made_attempt, needed_student, read_options
from lema_ray.recipes.branching import STAGE, Branch, Brancher, S3cOptions
from lema_ray.recipes.lemma_prompts import WORDS
from lema_ray.recipes.recipe import Made, Outcome, Rejected
from lema_ray.recipes.rollouts import branch_points, right_steps
from lema_ray.recipes.rows import corrected_attempt, row_of, turn_spans
from lema_ray.recipes.s3c_prompts import SCHEMA, read_doubt, reflect_prompt
from lema_ray.records import (
    Completion,
    Correction,
    Dropped,
    Grade,
    GradedQuestion,
    Message,
    Question,
    TrainingExample,
    content_id,
)
from lema_ray.steps import join_steps, split_steps


@dataclass(frozen=True)
class S3c:
    """The recipe. Its options are `S3cOptions`."""

    config: RecipeConfig
    name: str = "s3c"

    def __post_init__(self) -> None:
        _ = self.options

    @cached_property
    def options(self) -> S3cOptions:
        """The checked options."""
        return read_options(S3cOptions, self.config.options, self.name)

    def preview(self, question: Question, solution: str) -> tuple[Message, ...]:
        """The request for a reflection, as if the solution's first step were wrong."""
        steps = split_steps(solution)[:1]
        return reflect_prompt(question, steps, steps[0] if steps else "", WORDS[0])

    def most_requests(self, samples: int) -> int:
        """A reflection for each point, with its tries."""
        return self.config.corrections_per_question * self.config.tries

    def student_requests(self, samples: int) -> int:
        """At each point: rollouts from the right step, candidates, and rollouts from each."""
        o = self.options
        return self.config.corrections_per_question * (o.rollouts + o.candidates * (1 + o.rollouts))

    def continues_student(self) -> bool:
        """Always."""
        return True

    async def correct(self, graded: GradedQuestion, corrector: Generate, student: Generate | None) -> Outcome:
        """Wrong steps branched off a right solution of one question, each with a reflection."""
        if not self.config.corrections_per_question or not (graded.wrong or self.options.unfailed):
            return Outcome()
        try:
            row, steps = right_steps(graded)
        except Rejected as rejected:
            return Outcome(drops=(Dropped("corrections", graded.question.id, rejected.reason),))
        points = branch_points(steps)
        if graded.question.task == "choice" or not points:
            return Outcome(drops=(Dropped("corrections", row, "cannot_split"),))
        rng = Random(content_id(self.name, graded.question.id))
        chosen = sorted(rng.sample(points, min(self.config.corrections_per_question, len(points))))
        brancher = Brancher(graded.question, row, steps, needed_student(student, self.name), self.options)
        done = await asyncio.gather(*(self._at(brancher, at, corrector) for at in chosen))
        return Outcome.of([one for one, _ in done if one], [drop for _, dropped in done for drop in dropped])

    async def _at(self, brancher: Brancher, at: int, corrector: Generate) -> tuple[Made | None, list[Dropped]]:
        branch, drops = await brancher.branch(at)
        if branch is None:
            return None, drops
        row = f"{brancher.row}/branch{at + 1}"
        words = WORDS[int(content_id(self.name, row), 16) % len(WORDS)]
        prompt = reflect_prompt(brancher.question, [*branch.steps[:at], branch.wrong], branch.steps[at], words)

        for number in range(self.config.tries):
            sampling = replace(self.config.sampling.for_try(number, row), json_schema=SCHEMA)
            read = partial(read_doubt, brancher.question, at + 1)
            asked = await ask(corrector, prompt, sampling, "corrections", row, read)
            if not isinstance(asked, Dropped):
                return self._made(branch, row, *asked), drops
            drops.append(asked)
        unused = Dropped.of(STAGE, row, "no_reflection", branch.reply)
        return None, [*drops, (branch.rolled.spent + branch.own.spent).on(unused)]

    def _made(self, branch: Branch, row: str, doubt: str, reply: Completion) -> Made:
        grade = Grade("wrong", None, ("rollouts",), branch.proof)
        attempt = made_attempt(row, branch.begun, "branched", grade, branch.sampling, branch.reply)
        correction = Correction(
            id=content_id(self.name, row, branch.wrong, doubt),
            recipe=self.name,
            attempt_id=row,
            explanation=doubt,
            revision=join_steps(branch.steps).strip(),
            wrong_step=branch.at,
            fields={"wrong": branch.wrong, "doubt": doubt, "rest": join_steps(branch.steps[branch.at :]).strip()},
            checks=("differs", "rollouts_wrong", "doubts", "no_reference"),
            model=reply.model,
            prompt_tokens=reply.prompt_tokens,
            completion_tokens=reply.completion_tokens,
            cost=reply.cost,
        )
        return Made(attempt, correction, branch.rolled.judgement(row, branch.own.spent))

    def to_examples(self, graded: GradedQuestion, correction: Correction) -> list[TrainingExample]:
        """The solution with its wrong step, the reflection, and the right step and what follows."""
        wrong = correction.fields["wrong"]
        before = corrected_attempt(graded, correction).text.removesuffix(wrong)
        doubt = correction.fields["doubt"] if "reflection" in self.options.parts else ""
        spans = turn_spans(before, wrong, doubt, correction.fields["rest"], "learn_wrong_step" in self.options.parts)
        return [row_of(graded, correction, list(spans), sorted(self.options.parts))]
