"""LeMa: learning from mistakes (arXiv 2310.20689 v4). One corrector call per mistake; corrections are extra SFT rows.

Kept from the paper: the corrector sees the question and the wrong solution, not the reference; it names the first
wrong step, explains it, and solves on from there (section 2.1); a correction stays when its final answer is right; the
wrong solution is in the prompt of the training row and never a target (section 2.2). Multiple choice has no steps.
Ours: structured output, several tries, and stricter checks (`bad_step`, `no_change`, `prefix_changed`), counted apart
so that the paper's own yield can be told. Left out: nothing at this stage; evolution is `lema_ray.evolution`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from lema_ray import checks
from lema_ray.attempts import question_text
from lema_ray.config import ConfigError, RecipeConfig
from lema_ray.engines import Generate
from lema_ray.mistakes.analysis import SAYS_RIGHT
from lema_ray.recipes.asking import ask
from lema_ray.recipes.lema_prompts import correction_prompt, format_fields, labels_for, mistake_block, reply_schema
from lema_ray.recipes.lema_revision import join_to_attempt
from lema_ray.recipes.recipe import Outcome, Rejected, mistakes
from lema_ray.recipes.rows import corrected_attempt, row_of
from lema_ray.records import (
    Attempt,
    Completion,
    Correction,
    Dropped,
    GradedQuestion,
    Message,
    Question,
    Span,
    TrainingExample,
    content_id,
)
from lema_ray.replies import read_fields
from lema_ray.steps import number_steps, split_steps

LEARN = "This solution is wrong. Name the first wrong step, explain the mistake, and solve it correctly from there."
LEARN_CHOICE = "This answer is wrong. Explain the mistakes in it, then give the corrected answer."
PARTS = {"step": "incorrect_step", "explanation": "explanation", "solution": "correct_solution"}


def learn_prompt(question: Question, solution: str) -> tuple[Message, ...]:
    """The request that training rows teach to answer, and that a trained model is asked to correct itself with."""
    choice = question.task == "choice"
    shown = solution.strip() if choice else number_steps(split_steps(solution))
    block = mistake_block(question_text(question), shown, question.task)
    return (Message("user", f"{block}\n\n{LEARN_CHOICE if choice else LEARN}"),)


@dataclass(frozen=True)
class Lema:
    """The recipe. Options: `parts`, the fields of a correction to learn (default all: step, explanation, solution)."""

    config: RecipeConfig
    name: str = "lema"

    def __post_init__(self) -> None:
        unknown = set(self.config.options) - {"parts"} | set(self.parts) - set(PARTS)
        if unknown:
            raise ConfigError(
                f"recipe lema: unknown {', '.join(sorted(unknown))}; options.parts takes {', '.join(PARTS)}"
            )

    @property
    def parts(self) -> Sequence[str]:
        """The fields of a correction that training rows hold."""
        return tuple(self.config.options.get("parts", PARTS))

    def preview(self, question: Question, solution: str) -> tuple[Message, ...]:
        """The request for one correction."""
        return correction_prompt(question, number_steps(split_steps(solution)))

    def most_requests(self, samples: int) -> int:
        """One for each try at each mistake."""
        return min(self.config.corrections_per_question, samples) * self.config.tries

    async def correct(self, graded: GradedQuestion, corrector: Generate, student: Generate | None) -> Outcome:
        """One correction for each of the question's distinct mistakes."""
        question, chosen = graded.question, mistakes(graded, self.config)
        return Outcome.gathered(await asyncio.gather(*(self._correct_attempt(question, a, corrector) for a in chosen)))

    async def _correct_attempt(
        self, question: Question, attempt: Attempt, corrector: Generate
    ) -> list[Correction | Dropped]:
        made: list[Correction | Dropped] = []
        for attempt_try in range(self.config.tries):
            made.append(await self._try(question, attempt, corrector, attempt_try))
            if isinstance(made[-1], Correction):
                break
        return made

    async def _try(
        self, question: Question, attempt: Attempt, corrector: Generate, attempt_try: int
    ) -> Correction | Dropped:
        steps = split_steps(attempt.text)
        numbered = attempt.text.strip() if question.task == "choice" else number_steps(steps)
        sampling = self.config.sampling.for_try(attempt_try, attempt.id)
        sampling = replace(sampling, json_schema=reply_schema(question.task))
        read = partial(self._accept, question, attempt, steps)
        made = await ask(corrector, correction_prompt(question, numbered), sampling, "corrections", attempt.id, read)
        return made if isinstance(made, Dropped) else made[0]

    async def _accept(self, question: Question, attempt: Attempt, steps: list[str], reply: Completion) -> Correction:
        fields = read_fields(reply.text, labels_for(question.task))
        if set(fields) != set(labels_for(question.task)):
            raise Rejected("called_right" if not fields and SAYS_RIGHT.search(reply.text) else "unreadable_reply")
        wrong_step, revision = None, fields["correct_solution"]
        if question.task != "choice":
            wrong_step, revision, fields = join_to_attempt(fields, steps)
        if not checks.differs(revision, attempt.text):
            raise Rejected("no_change")
        grade = await checks.grade_revision(revision, question)
        if grade.verdict != "right":
            raise Rejected("wrong_answer" if grade.verdict == "wrong" else "unsure_answer")
        return Correction(
            id=content_id(self.name, attempt.id, reply.text),
            recipe=self.name,
            attempt_id=attempt.id,
            explanation=fields["explanation"],
            revision=revision,
            wrong_step=wrong_step,
            fields=fields,
            checks=("step_exists", "prefix_kept", "differs", "answer_right"),
            model=reply.model,
            prompt_tokens=reply.prompt_tokens,
            completion_tokens=reply.completion_tokens,
            cost=reply.cost,
        )

    def to_examples(self, graded: GradedQuestion, correction: Correction) -> list[TrainingExample]:
        """One row: the wrong solution in the prompt, the chosen parts of the correction as the target."""
        question = graded.question
        attempt = corrected_attempt(graded, correction)
        keys = {PARTS[part] for part in self.parts}
        target = format_fields({k: v for k, v in correction.fields.items() if k in keys}, question.task)
        prompt = learn_prompt(question, attempt.text)
        return [row_of(graded, correction, (Span(target),), self.parts, prompt)]
