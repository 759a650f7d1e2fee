"""Editing right steps on purpose: which step, in which way, asked, checked and shown to be wrong. Used by `rise`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from random import Random
from typing import Literal

from pydantic import Field

from lema_ray.config import RecipeConfig
from lema_ray.engines import Generate
from lema_ray.grading.boxes import without_boxes
from lema_ray.recipes.asking import Spent, ask, made_attempt, needed_student
from lema_ray.recipes.edits import check_edit, clean_edit, shown_wrong
from lema_ray.recipes.recipe import Made, Rejected
from lema_ray.recipes.rise_prompts import EDITS, LABELS, SCHEMA, WORDING, Edit, edit_prompt, fitting
from lema_ray.recipes.rollouts import Rolled, RolloutOptions, Rollouts, branch_points
from lema_ray.records import (
    Attempt,
    Completion,
    Correction,
    Dropped,
    Grade,
    Question,
    content_id,
)
from lema_ray.replies import read_fields
from lema_ray.steps import join_steps, split_steps

STAGE = "edits"


class RiseOptions(RolloutOptions):
    """What is asked for, and which pairs become rows (`parts`)."""

    editor: Literal["student", "corrector"] = "student"
    edits: int = Field(1, ge=0, description="edited steps per question; many hurt (paper)")
    kinds: tuple[str, ...] = Field(tuple(EDITS), min_length=1)
    similarity: float = Field(0.7, ge=0, le=1, description="of an edited step to the right one, at least; ours")
    prove: tuple[Literal["numbers", "rollouts"], ...] = ("numbers",)
    parts: tuple[Literal["full", "step"], ...] = ("full", "step")


@dataclass(frozen=True)
class Editing:
    """The edits of one question by one editor; `student` is for rollouts."""

    options: RiseOptions
    config: RecipeConfig
    editor: Generate
    student: Generate | None

    async def edit(self, question: Question, right: Attempt, rng: Random) -> tuple[list[Made], list[Dropped]]:
        """Edited steps of a right solution, at most `options.edits`, and what was dropped on the way."""
        steps = [] if question.task == "choice" else split_steps(right.text)
        points = branch_points(steps)
        if not points:
            return [], [Dropped(STAGE, right.id, "cannot_split")] if self.options.edits else []
        fit = [at for at in points if self._kinds(steps[at])]
        if not fit:
            return [], [Dropped(STAGE, right.id, "nothing_to_edit")] if self.options.edits else []
        chosen = sorted(rng.sample(fit, min(self.options.edits, len(fit))))
        seeds = [rng.random() for _ in chosen]
        tried = await asyncio.gather(
            *(self._step(question, right, steps, at, Random(s)) for at, s in zip(chosen, seeds, strict=True))
        )
        return [made for one, _ in tried for made in one], [drop for _, drops in tried for drop in drops]

    def _kinds(self, step: str) -> list[Edit]:
        # Numbers can show nothing of an edit that only changes words.
        names = [name for name in self.options.kinds if name != WORDING or "rollouts" in self.options.prove]
        return fitting(step, names)

    async def _step(
        self, question: Question, right: Attempt, steps: Sequence[str], at: int, rng: Random
    ) -> tuple[list[Made], list[Dropped]]:
        """Tries at one step, each in a way drawn anew, until one is accepted."""
        drops: list[Dropped] = []
        for number in range(self.config.tries):
            made, dropped = await self._try(question, right, steps, at, rng.choice(self._kinds(steps[at])), number)
            drops += dropped
            if made is not None:
                return [made], drops
        return [], drops

    async def _try(
        self, question: Question, right: Attempt, steps: Sequence[str], at: int, edit: Edit, number: int
    ) -> tuple[Made | None, list[Dropped]]:
        row = f"{right.id}/step{at + 1}"
        sampling = replace(self.config.sampling.for_try(number, row, edit.name), json_schema=SCHEMA)
        read = partial(self._read, right=steps[at])
        asked = await ask(self.editor, edit_prompt(question, steps, at, edit), sampling, STAGE, row, read)
        if isinstance(asked, Dropped):
            return None, [asked]
        (edited, reply), begun = asked, join_steps(steps[:at])
        proof, rolled = await self._proof(question, begun, edited, steps[at], row)
        if proof is None:
            return None, [*rolled.refused, rolled.spent.on(Dropped.of(STAGE, row, "not_wrong", reply))]
        grade = Grade("wrong", None, ("edited",), proof)
        made = made_attempt(f"{row}/{edit.name}", begun + edited, "edited", grade, sampling, reply)
        fields = {"edit": edit.name, "right": steps[at].strip(), "wrong": edited}
        correction = Correction(
            id=content_id("rise", made.attempt.id, edited),
            recipe="rise",
            attempt_id=made.attempt.id,
            explanation=f"The step was made wrong on purpose ({edit.name}); {proof}.",
            revision=right.text.strip(),
            wrong_step=at,
            strategy="step",
            fields=fields,
            checks=("differs", "near", "silent", "shown_wrong"),
            model=reply.model,
            requests=0,
        )
        judgement = rolled.judgement(made.attempt.id, Spent()) if rolled.answered else None
        return Made(made, correction, judgement), list(rolled.refused)

    async def _read(self, reply: Completion, right: str) -> str:
        edited = read_fields(reply.text, LABELS).get("edited_step")
        if edited is None:
            raise Rejected("unreadable_reply")
        edited = without_boxes(clean_edit(edited, right))
        check_edit(edited, without_boxes(right), self.options.similarity)
        return edited

    async def _proof(
        self, question: Question, begun: str, edited: str, right: str, row: str
    ) -> tuple[str | None, Rolled]:
        """What shows that the edited step is wrong, None if nothing does; and the rollouts it took."""
        if "numbers" in self.options.prove and shown_wrong(edited, right, question.reference):
            return "its numbers show it", Rolled()
        if "rollouts" not in self.options.prove:
            return None, Rolled()
        rollouts = Rollouts(needed_student(self.student, "rise"), question, self.options)
        rolled = await rollouts.roll(f"{begun}{edited}\n", row)
        return str(rolled) if rolled.shows_wrong(self.options) else None, rolled
