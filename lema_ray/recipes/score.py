"""SCORE: small models correct themselves behind a verifier (arXiv 2404.17140; not Google's SCoRe, 2409.12917).

Kept from the paper: the model criticizes its own wrong solutions with a right one of its own as a hint; rules keep
critiques that judge every step in order, end with the right answer and do not find it in a step they call wrong; hint
and answer are taken out; one greedy refinement has to come out right; rows of question and wrong solution -> critique
and right solution, up to the first wrong step, balanced by right solutions at the model's own rate. The verifier is
`lema train-verifier`, its threshold gates the policy `verify`. Ours: the format of `self_correction.critiques`; the
critic and the refiner may be another model (`critic`, `refiner`: the demo's student follows no instructions). The rate
of right rows is each question's own, over questions that have both kinds. Left out: the paper's variant for
commonsense questions, whose candidates are judged one by one.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial

from lema_ray import checks
from lema_ray.attempts import question_text
from lema_ray.config import RecipeConfig
from lema_ray.engines import Generate
from lema_ray.grading.numbers import numbers_in
from lema_ray.recipes.asking import read_options
from lema_ray.recipes.critic import Critic, Made, pick
from lema_ray.recipes.critic_options import Model, ScoreOptions
from lema_ray.recipes.critic_prompts import critic_prompt
from lema_ray.recipes.critic_rows import right_ones, row
from lema_ray.recipes.recipe import Outcome, Rejected, mistakes
from lema_ray.recipes.refinement import Refiner
from lema_ray.recipes.rows import corrected_attempt
from lema_ray.records import Attempt, Correction, Dropped, GradedQuestion, Message, Question, TrainingExample
from lema_ray.self_correction.critiques import CORRECTION, Critique, Judged, all_right, critique_prompt
from lema_ray.steps import split_steps

_SENTENCE = re.compile(r"(?<=[.!?])\s+")


@dataclass(frozen=True)
class Score:
    """The recipe. Its options are `ScoreOptions`."""

    config: RecipeConfig
    name: str = "score"

    def __post_init__(self) -> None:
        _ = self.options

    @cached_property
    def options(self) -> ScoreOptions:
        """The checked options."""
        return read_options(ScoreOptions, self.config.options, self.name)

    def preview(self, question: Question, solution: str) -> tuple[Message, ...]:
        """The request for a critique; the hint is the source's own solution here, as nothing is sampled yet."""
        hint = question.solution or f"The answer is {question.reference}."
        return critic_prompt(question, solution, hint, to_the_end=True)

    def most_requests(self, samples: int) -> int:
        """A critique and a refinement for every try at every mistake, as far as the corrector is asked for them."""
        return self._requests(samples, "corrector")

    def _requests(self, samples: int, model: Model) -> int:
        asked = (self.options.critic, self.options.refiner).count(model)
        return min(self.config.corrections_per_question, samples) * self.config.tries * asked

    def student_requests(self, samples: int) -> int:
        """As many as `most_requests`, as far as the student is asked."""
        return self._requests(samples, "student")

    def continues_student(self) -> bool:
        """Never: these are ordinary requests."""
        return False

    async def correct(self, graded: GradedQuestion, corrector: Generate, student: Generate | None) -> Outcome:
        """A critique with a hint for every distinct mistake, kept when a refinement by it is right."""
        refining = pick(self.options.refiner, corrector, student, self.name)
        refiner = Refiner(refining, self.options.refine_sampling, by=self.options.refiner)
        accept = partial(accepted, feedback=self.options.feedback)
        critic = Critic(
            self.name, self.config, pick(self.options.critic, corrector, student, self.name), refiner, accept
        )
        made = (self._one(critic, graded, attempt) for attempt in mistakes(graded, self.config))
        return Outcome.gathered(await asyncio.gather(*made))

    async def _one(self, critic: Critic, graded: GradedQuestion, attempt: Attempt) -> Made:
        hints = [a.text.strip() for a in graded.right if a.text.strip()]
        if not attempt.text.strip():
            return [Dropped("corrections", attempt.id, "no_steps")]
        if not hints:
            return [Dropped("corrections", attempt.id, "no_right_attempt")]
        prompt = critic_prompt(graded.question, attempt.text, hints[0], to_the_end=True)
        return await critic.correct(graded.question, attempt, prompt, "right")

    def to_examples(self, graded: GradedQuestion, correction: Correction) -> list[TrainingExample]:
        """The critique and the right solution after the wrong one; right solutions, to be left as they are."""
        asked, rate, rows = question_text(graded.question), self.options.rights, list[TrainingExample]()
        attempt = corrected_attempt(graded, correction)
        if "correction" in self.options.parts:
            target = f"{correction.fields['critique']}\n{CORRECTION}\n{correction.revision}"
            rows.append(row(graded, correction, attempt, critique_prompt(asked, attempt.text, True), target))
        if "rights" in self.options.parts:
            for right in right_ones(graded, correction, None if rate == "own" else float(rate)):
                verdicts = str(all_right(len(split_steps(right.text))))
                rows.append(row(graded, correction, right, critique_prompt(asked, right.text, True), verdicts))
        return rows


def accepted(critique: Critique, question: Question, steps: Sequence[str], feedback: str) -> Critique:
    """The critique without hint and answer. Raises `Rejected` where a rule of the paper is broken."""
    if len(critique.steps) < len(steps):
        raise Rejected("bad_step")
    if not _says(critique.answer.why, question.reference):
        raise Rejected("no_answer")
    last_wrong = max(at for at, judged in enumerate(critique.steps) if not judged.right)
    if _ends_with(steps[last_wrong], question.reference):
        raise Rejected("contradiction")
    cleaned = tuple(Judged(j.right, "" if j.right else _without_hint(j.why, question)) for j in critique.steps)
    kept = Critique(cleaned, Judged(False))
    if not kept.why:
        raise Rejected("reference_leak")
    return kept.short() if feedback == "first" else kept


def _says(text: str, reference: str) -> bool:
    return checks.states(text, reference) or checks.plain(reference) in checks.plain(text)


def _ends_with(step: str, reference: str) -> bool:
    """The last number of a step is the right answer: then it is not the step that is wrong."""
    return bool(numbers_in(reference)) and numbers_in(step)[-1:] == numbers_in(reference)[:1]


def _without_hint(why: str, question: Question) -> str:
    """What is said of a step, without sentences that speak of the hint."""
    return " ".join(s for s in _SENTENCE.split(why) if not checks.mentions_reference(s, question.text))
