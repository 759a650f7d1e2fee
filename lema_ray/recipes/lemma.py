"""LEMMA: learning from errors (arXiv 2503.17439). The model learns to doubt a wrong step in mid-solution and mend it.

Kept from the paper: mistakes are the student's own and ones of the same types made on purpose (`injection`); each is
cut after its first wrong step and gone on from in two ways, Fix & Continue and Fresh & Restart, which is then smoothed
and kept when its answer is right; the whole solution is the target, the wrong step included, under the prompt that
evaluation and serving use. Ours: the kept steps are the attempt's own to the byte, words of doubt are dealt out
evenly, the doubt and the reference are checked (`trajectory`), smoothing falls back to what it was given, rows with
several doubts, and all of it can be switched off when training rows are made (`parts`). Solutions that are right from
the start stay as they are: they are the CoT rows, and `corrections_share` of an arm says how many there are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from lema_ray.config import RecipeConfig
from lema_ray.engines import Generate
from lema_ray.mistakes.analysis import Analyzer
from lema_ray.recipes.asking import needed_student, read_options
from lema_ray.recipes.continuation import Continuation
from lema_ray.recipes.injection import Injected, Injector
from lema_ray.recipes.lemma_options import LemmaOptions
from lema_ray.recipes.lemma_rows import rows_of
from lema_ray.recipes.recipe import Outcome, mistakes
from lema_ray.records import Analysis, Correction, Dropped, GradedQuestion, Message, Question, TrainingExample
from lema_ray.steps import split_steps


@dataclass(frozen=True)
class Lemma:
    """The recipe. Its options are `lemma_options.LemmaOptions`."""

    config: RecipeConfig
    name: str = "lemma"

    def __post_init__(self) -> None:
        _ = self.options, self.analyzer.taxonomy

    @cached_property
    def options(self) -> LemmaOptions:
        """The checked options."""
        return read_options(LemmaOptions, self.config.options, self.name)

    @cached_property
    def analyzer(self) -> Analyzer:
        """Finds the wrong step and the type."""
        return Analyzer(self.config.analysis)

    def preview(self, question: Question, solution: str) -> tuple[Message, ...]:
        """The request for an analysis, which comes first."""
        return self.analyzer.prompt(question, split_steps(solution))

    def most_requests(self, samples: int) -> int:
        """Analysis, injection with its analysis, corrections and smoothing."""
        own = min(self.config.corrections_per_question, samples)
        each = len(self.options.strategies) * (self.config.tries + (self.options.smoother == "corrector"))
        return own * (1 + each) + self._made * (2 + each)

    @property
    def _made(self) -> int:
        """At most so many mistakes made on purpose."""
        return self.options.inject if self.options.k_max is None else self.options.k_max

    def student_requests(self, samples: int) -> int:
        """One smoothing for each correction, where the student smooths."""
        own = min(self.config.corrections_per_question, samples)
        return len(self.options.strategies) * (own + self._made) if self.options.smoother == "student" else 0

    def continues_student(self) -> bool:
        """Never: smoothing is an ordinary request."""
        return False

    async def correct(self, graded: GradedQuestion, corrector: Generate, student: Generate | None) -> Outcome:
        """Analyses, mistakes made on purpose, and both corrections of every mistake whose wrong step was found."""
        smoother = self._smoother(corrector, student)
        own_count, made_count = self._counts(graded)
        own = [a for a in mistakes(graded, self.config) if a.text.strip()][:own_count]
        question, analyzer = graded.question, self.analyzer
        found = await asyncio.gather(*(analyzer.analyze(question, a.id, split_steps(a.text), corrector) for a in own))
        pairs = [(a, f) for a, f in zip(own, found, strict=True) if isinstance(f, Analysis)]
        types = [analysis.error_type for _, analysis in pairs]
        injected = await Injector(self.options, analyzer).inject(graded, made_count, types, corrector)
        pairs += [(made.attempt, a) for made, a, drop in injected if made and a and not drop]
        ways = [Continuation(s, self.config, self.options, corrector, smoother) for s in self.options.strategies]
        corrected = await asyncio.gather(*(way.correct(graded, pair) for pair in pairs for way in ways))
        return _outcome(found, injected, [item for items in corrected for item in items])

    def _smoother(self, corrector: Generate, student: Generate | None) -> Generate | None:
        if self.options.smoother == "student":
            return needed_student(student, self.name)
        return corrector if self.options.smoother == "corrector" else None

    def _counts(self, graded: GradedQuestion) -> tuple[int, int]:
        """How many of the question's own mistakes to correct, and how many to make on purpose."""
        failed, answered = len(graded.wrong), len(graded.wrong) + len(graded.right)
        inject = self.options.inject if failed or self.options.inject_unfailed else 0
        if self.options.k_max is None:
            return self.config.corrections_per_question, inject
        wanted = round(self.options.k_max * failed / max(answered, 1) / len(self.options.strategies))
        own = min(round(wanted * self.options.student_share), failed)
        return own, wanted - own if inject else 0

    def to_examples(self, graded: GradedQuestion, correction: Correction) -> list[TrainingExample]:
        """The whole self-correcting solution under the prompt that every model is examined with."""
        return rows_of(graded, correction, self.options)


def _outcome(
    found: Sequence[Analysis | Dropped], injected: Sequence[Injected], corrected: Sequence[Correction | Dropped]
) -> Outcome:
    dropped = [*found, *(drop for _, _, drop in injected), *corrected]
    analysed = [*found, *(analysis for _, analysis, _ in injected)]
    return Outcome(
        tuple(item for item in corrected if isinstance(item, Correction)),
        tuple(item for item in dropped if isinstance(item, Dropped)),
        tuple(made for made, _, _ in injected if made is not None),
        tuple(item for item in analysed if isinstance(item, Analysis)),
    )
