"""AutoMathCritique (arXiv 2411.16579): a critic learns step verdicts, an actor learns to refine by them.

Kept from the paper: flawed solutions made in three ways (the student's own, gone on anew from a place in a right one,
and made on purpose); a critic that sees a reference writes verdicts up to the first wrong step, with advice; a critique
stays when enough of k refinements by it are right; rows for the critic (question and solution -> critique) and for the
actor (question, solution and critique -> better solution). The critique loop at test time is the policy `critique`, the
self-improvement over rounds is a config (`jobs/configs/critique.yaml`). Ours: the format, checks (`contradiction`,
`bad_step`, `reference_leak`), mistakes on purpose are confirmed by an analysis (`injection`), right solutions of the
same question as rows to leave alone. Left out: the paper's smoothing of all turns into one (LEMMA does it).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from lema_ray import checks
from lema_ray.attempts import question_text, solve_prompt
from lema_ray.config import RecipeConfig
from lema_ray.engines import Generate
from lema_ray.mistakes.analysis import Analyzer
from lema_ray.recipes.asking import needed_student, read_options
from lema_ray.recipes.continuation import find_reference
from lema_ray.recipes.critic import Critic, Made, pick
from lema_ray.recipes.critic_options import CritiqueOptions
from lema_ray.recipes.critic_prompts import critic_prompt
from lema_ray.recipes.critic_rows import right_ones, row
from lema_ray.recipes.injection import Injector
from lema_ray.recipes.recipe import Outcome, Rejected, mistakes
from lema_ray.recipes.refinement import Refiner
from lema_ray.recipes.resampling import resample
from lema_ray.recipes.rows import corrected_attempt
from lema_ray.records import (
    Analysis,
    Attempt,
    Correction,
    Dropped,
    GradedAttempt,
    GradedQuestion,
    Message,
    Question,
    TrainingExample,
)
from lema_ray.self_correction.critiques import Critique, all_right, critique_prompt, revise_prompt
from lema_ray.steps import split_steps


@dataclass(frozen=True)
class CritiqueRecipe:
    """The recipe. Its options are `CritiqueOptions`."""

    config: RecipeConfig
    name: str = "critique"

    def __post_init__(self) -> None:
        _ = self.options, Analyzer(self.config.analysis).taxonomy

    @cached_property
    def options(self) -> CritiqueOptions:
        """The checked options."""
        return read_options(CritiqueOptions, self.config.options, self.name)

    def preview(self, question: Question, solution: str) -> tuple[Message, ...]:
        """The request for a critique."""
        shown = question.solution or f"The answer is {question.reference}."
        return critic_prompt(question, solution, shown)

    def most_requests(self, samples: int) -> int:
        """Mistakes on purpose with their analyses, and for every flawed solution the critiques with refinements."""
        refinements = self.options.refinements if self.options.refiner == "corrector" else 0
        return self.options.inject * 2 + self._flawed_at_most(samples) * (1 + refinements)

    def _flawed_at_most(self, samples: int) -> int:
        own = min(self.config.corrections_per_question, samples)
        return (own + self.options.inject + self.options.resample) * self.config.tries

    def student_requests(self, samples: int) -> int:
        """Solutions gone on anew, and refinements, where the student makes them."""
        refined = self.options.refiner == "student"
        return self.options.resample + self._flawed_at_most(samples) * self.options.refinements * refined

    def continues_student(self) -> bool:
        """Going on anew from inside a solution needs it."""
        return self.options.resample > 0

    async def correct(self, graded: GradedQuestion, corrector: Generate, student: Generate | None) -> Outcome:
        """Flawed solutions in three ways, each with its critique if that helps."""
        if not graded.wrong:
            return Outcome()
        attempts, analyses, drops = await self._flawed(graded, corrector, student)
        flawed = [*mistakes(graded, self.config), *(g.attempt for g in attempts if g.grade.verdict == "wrong")]
        unusable = {d.id for d in drops}
        refiner = Refiner(
            pick(self.options.refiner, corrector, student, self.name),
            self.options.refine_sampling,
            self.options.refinements,
            self.options.refiner,
        )
        critic = Critic(self.name, self.config, corrector, refiner, _accept, self.options.least_helped)
        made = await asyncio.gather(*(self._one(critic, graded, a) for a in flawed if a.id not in unusable))
        return replace(Outcome.gathered([drops, *made]), attempts=tuple(attempts), analyses=tuple(analyses))

    async def _flawed(
        self, graded: GradedQuestion, corrector: Generate, student: Generate | None
    ) -> tuple[list[GradedAttempt], list[Analysis], list[Dropped]]:
        """New flawed solutions, made on purpose and gone on anew, and what was dropped on the way."""
        injector = Injector(self.options, Analyzer(self.config.analysis))
        injected = await injector.inject(graded, self.options.inject, (), corrector)
        again: list[GradedAttempt | Dropped] = []
        if self.options.resample:
            model = needed_student(student, self.name)
            again = await resample(graded, self.options.resample, model, self.options.resample_sampling)
        attempts = [made for made, _, _ in injected if made] + [a for a in again if isinstance(a, GradedAttempt)]
        drops = [drop for _, _, drop in injected if drop] + [a for a in again if isinstance(a, Dropped)]
        return attempts, [analysis for _, analysis, _ in injected if analysis], drops

    async def _one(self, critic: Critic, graded: GradedQuestion, attempt: Attempt) -> Made:
        if not attempt.text.strip():
            return [Dropped("corrections", attempt.id, "no_steps")]
        kind, reference = find_reference(graded, self.options.reference)
        if kind is None or reference is None:
            return [Dropped("corrections", attempt.id, "no_reference")]
        return await critic.correct(
            graded.question, attempt, critic_prompt(graded.question, attempt.text, reference), kind
        )

    def to_examples(self, graded: GradedQuestion, correction: Correction) -> list[TrainingExample]:
        """Rows for a critic, for an actor that refines, and right solutions for the critic to leave alone."""
        asked, critique = question_text(graded.question), correction.fields["critique"]
        attempt, rows = corrected_attempt(graded, correction), list[TrainingExample]()
        if "critique" in self.options.parts:
            rows.append(row(graded, correction, attempt, critique_prompt(asked, attempt.text), critique))
        if "refinement" in self.options.parts:
            prompt = revise_prompt(solve_prompt(graded.question), attempt.text, critique)
            rows.append(row(graded, correction, attempt, prompt, correction.revision))
        if "rights" in self.options.parts:
            for right in right_ones(graded, correction, self.options.rights):
                verdicts = str(all_right(len(split_steps(right.text))))
                rows.append(row(graded, correction, right, critique_prompt(asked, right.text), verdicts))
        return rows


def _accept(critique: Critique, question: Question, steps: Sequence[str]) -> Critique:
    """The critique up to the first wrong step, if it does not speak of the reference."""
    if checks.mentions_reference(str(critique), question.text):
        raise Rejected("reference_leak")
    return critique.short()
