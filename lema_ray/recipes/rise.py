"""RISE: error-injected self-editing (arXiv 2410.06638). The student learns to prefer right steps to near, wrong ones.

(Not Recursive Introspection, 2407.18219, of the same short name.) Kept from the paper: of a question with a right and a
wrong attempt, both are a pair of whole solutions; the student edits a step of its own right solution in one of seven
ways; the right step against the edited one is a pair with the steps before it given; one pair of each kind per
question; boxes leave the rejected step. DPO with NLL is the trainer's part. Ours: an edit must be shown to be wrong, by
its numbers or by rollouts, must be near the right step, and must not repair one; another editor; how many.
Left out: the editor sees a long step whole, not its last four sentences.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from random import Random

from lema_ray.config import ConfigError, RecipeConfig
from lema_ray.engines import Generate
from lema_ray.recipes.asking import needed_student, read_options
from lema_ray.recipes.editing import Editing, RiseOptions
from lema_ray.recipes.recipe import Outcome, Rejected, mistakes, own_right
from lema_ray.recipes.rise_prompts import EDITS, edit_prompt
from lema_ray.recipes.rows import corrected_attempt, row_of
from lema_ray.records import (
    UNFINISHED,
    Attempt,
    Correction,
    Dropped,
    GradedQuestion,
    Message,
    Question,
    Span,
    TrainingExample,
    content_id,
)
from lema_ray.steps import split_steps


@dataclass(frozen=True)
class Rise:
    """The recipe. Its options are `RiseOptions`."""

    config: RecipeConfig
    name: str = "rise"

    def __post_init__(self) -> None:
        if unknown := set(self.options.kinds) - set(EDITS):
            raise ConfigError(
                f"recipe.options.kinds: no edit {', '.join(sorted(unknown))}; there are {', '.join(EDITS)}"
            )

    @cached_property
    def options(self) -> RiseOptions:
        """The checked options."""
        return read_options(RiseOptions, self.config.options, self.name)

    def preview(self, question: Question, solution: str) -> tuple[Message, ...]:
        """The request to edit the first step."""
        return edit_prompt(question, split_steps(solution), 0, EDITS[self.options.kinds[0]])

    def most_requests(self, samples: int) -> int:
        """The edits, where the corrector makes them."""
        return self._edits if self.options.editor == "corrector" else 0

    def student_requests(self, samples: int) -> int:
        """The edits, where the student makes them, and the rollouts that judge them."""
        own = self._edits if self.options.editor == "student" else 0
        return own + (self._edits * self.options.rollouts if self.continues_student() else 0)

    def continues_student(self) -> bool:
        """Where rollouts judge edits."""
        return "rollouts" in self.options.prove

    @property
    def _edits(self) -> int:
        return self.options.edits * self.config.tries if self.config.corrections_per_question else 0

    async def correct(self, graded: GradedQuestion, corrector: Generate, student: Generate | None) -> Outcome:
        """The pair of attempts and the edited steps of one question that the student gets right and wrong."""
        wrong = mistakes(graded, self.config)
        if not wrong:
            return Outcome()
        try:
            right = own_right(graded)
        except Rejected as rejected:
            return Outcome(drops=(Dropped("corrections", graded.question.id, rejected.reason),))
        rng = Random(content_id(self.name, graded.question.id))
        chosen = rng.choice(right)
        editor = needed_student(student, self.name) if self.options.editor == "student" else corrector
        edits = Editing(self.options, self.config, editor, student)
        made, drops = await edits.edit(graded.question, chosen, rng)
        pair = _full_pair(chosen, rng.choice(wrong))
        return Outcome.of(made, drops, pair)

    def to_examples(self, graded: GradedQuestion, correction: Correction) -> list[TrainingExample]:
        """One preference pair: whole solutions, or a step after the steps before it, which are given in both."""
        if correction.strategy not in self.options.parts:
            return []
        attempt = corrected_attempt(graded, correction)
        if correction.strategy == "full":
            return [row_of(graded, correction, [Span(correction.revision)], rejected=[Span(attempt.text.strip())])]
        given = Span(attempt.text.removesuffix(correction.fields["wrong"]), learn=False)
        right, wrong = ([given, Span(correction.fields[key]), UNFINISHED] for key in ("right", "wrong"))
        return [row_of(graded, correction, right, rejected=wrong)]


def _full_pair(right: Attempt, wrong: Attempt) -> Correction:
    return Correction(
        id=content_id("rise", "full", right.id, wrong.id),
        recipe="rise",
        attempt_id=wrong.id,
        explanation="Another attempt of the student is right.",
        revision=right.text.strip(),
        strategy="full",
        checks=("answer_right", "answer_wrong"),
        model=right.model,
        requests=0,
    )
