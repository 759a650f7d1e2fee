"""One mistake gone on from in one way: asked for, read, checked, smoothed. Used by `lemma` for each strategy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from lema_ray.config import RecipeConfig
from lema_ray.engines import Generate
from lema_ray.recipes.asking import Spent, ask
from lema_ray.recipes.lemma_options import LemmaOptions, Reference, Strategy
from lema_ray.recipes.lemma_prompts import SCHEMA, continue_prompt, doubt_words, smooth_prompt
from lema_ray.recipes.trajectory import CHECKS, Start, Turn, check_turn, read_turn
from lema_ray.records import (
    Analysis,
    Attempt,
    Completion,
    Correction,
    Dropped,
    GradedQuestion,
    Message,
    Question,
    Sampling,
    content_id,
)
from lema_ray.steps import split_steps

Mistake = tuple[Attempt, Analysis]


@dataclass(frozen=True)
class Continuation:
    """A strategy with the models that write it; `smoother` None leaves turns as they were written."""

    strategy: Strategy
    config: RecipeConfig
    options: LemmaOptions
    corrector: Generate
    smoother: Generate | None

    async def correct(self, graded: GradedQuestion, mistake: Mistake) -> list[Correction | Dropped]:
        """The correction of a mistake, and what was dropped on the way to it."""
        attempt, analysis = mistake
        start = Start(split_steps(attempt.text), analysis.wrong_step)
        kind, reference = find_reference(graded, self._order)
        if kind is None:
            return [Dropped("corrections", attempt.id, "no_reference", self.strategy)]
        words, kept = doubt_words(attempt.id, self.strategy), start.steps[: start.wrong + 1]
        prompt = continue_prompt(graded.question, kept, self.strategy, reference, words)
        made: list[Correction | Dropped] = []
        for number in range(self.config.tries):
            sampling = self._sampling(attempt.id, number)
            turn = await self._ask(self.corrector, prompt, sampling, "corrections", attempt.id, start, graded.question)
            if isinstance(turn, Dropped):
                made.append(turn)
                continue
            correction = self._correction(mistake, start, kind, *turn)
            return [*made, *await self._smoothed(correction, graded.question, start, turn[0])]
        return made

    @property
    def _order(self) -> Sequence[Reference]:
        return self.options.fix_reference if self.strategy == "fix" else self.options.fresh_reference

    async def _ask(
        self, model: Generate, prompt: tuple[Message, ...], sampling: Sampling, stage: str, row: str, start: Start,
        question: Question,
    ) -> tuple[Turn, Completion] | Dropped:  # fmt: skip
        """A checked turn and the reply it was in, or why there is none."""

        async def read(reply: Completion) -> Turn:
            turn = read_turn(reply, start, self.strategy)
            await check_turn(turn, start, self.strategy, question)
            return turn

        return await ask(model, prompt, sampling, stage, row, read)

    def _sampling(self, row: str, number: int) -> Sampling:
        return replace(self.config.sampling.for_try(number, row, self.strategy), json_schema=SCHEMA)

    async def _smoothed(
        self, correction: Correction, question: Question, start: Start, turn: Turn
    ) -> list[Correction | Dropped]:
        """The correction with a smoothed turn too; as it was, with a drop, when smoothing lost something."""
        if self.smoother is None:
            return [correction]
        prompt, row = smooth_prompt(question, start.kept, turn.doubt, turn.rest), correction.attempt_id
        smooth = await self._ask(self.smoother, prompt, self._sampling(row, 0), "smoothing", row, start, question)
        if isinstance(smooth, Dropped):
            return [correction, smooth]
        new, reply = smooth
        fields = correction.fields | {"smooth_doubt": new.doubt, "smooth_rest": new.rest}
        return [replace(Spent.of(reply).on(correction), fields=fields)]

    def _correction(self, mistake: Mistake, start: Start, reference: str, turn: Turn, reply: Completion) -> Correction:
        attempt, analysis = mistake
        return Correction(
            id=content_id("lemma", attempt.id, self.strategy, reply.text),
            recipe="lemma",
            attempt_id=attempt.id,
            explanation=turn.doubt,
            revision=turn.revision(start, self.strategy),
            wrong_step=start.wrong,
            error_type=analysis.error_type,
            strategy=self.strategy,
            reference=reference,
            fields={"doubt": turn.doubt, "rest": turn.rest},
            checks=CHECKS,
            model=reply.model,
            prompt_tokens=reply.prompt_tokens,
            completion_tokens=reply.completion_tokens,
            cost=reply.cost,
        )


def find_reference(graded: GradedQuestion, order: Sequence[Reference]) -> tuple[Reference | None, str | None]:
    """What the corrector goes by: the first kind in the order that this question has, and its text."""
    have = {
        "right": graded.right[0].text.strip() if graded.right else None,
        "solution": graded.question.solution,
        "answer": f"The answer is {graded.question.reference}.",
        "none": None,
    }
    return next(((kind, have[kind]) for kind in order if have[kind] or kind == "none"), (None, None))
