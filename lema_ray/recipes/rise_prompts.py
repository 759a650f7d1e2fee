"""What the editor of the `rise` recipe is asked: to make one right step wrong, in one of seven ways (arXiv 2410.06638).

The seven ways are the paper's; their words and examples, and the choice of steps that each fits, are ours.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lema_ray.attempts import question_text
from lema_ray.grading.numbers import numbers_in
from lema_ray.recipes.step_labels import STEP_LABEL
from lema_ray.records import Message, Question
from lema_ray.replies import json_schema
from lema_ray.steps import join_steps, number_steps

EDIT = """\
You prepare exercises in spotting mistakes. Below are a question, the beginning of a right solution, and its next \
step, which is right too. Write that step again with one small mistake of the kind that is named, so that it becomes \
wrong. Change as little as you can and keep its style, its length and its number. Do not say or hint that anything was \
changed.
{name} means: {how}. For example, this step
{before}
becomes
{after}
Reply with one field, Edited Step (in JSON: edited_step)."""
WORDING = "change the wording"
LABELS = {"edited_step": "Edited Step"}
SCHEMA = json_schema({"edited_step": "string"})

_OPERATION = re.compile(r"[\d)}]\s*\\?(?:[-+*/×÷−^]|times|cdot|div)\s*[\d({\\]")


@dataclass(frozen=True, slots=True)
class Edit:
    """A way to make a step wrong; `fits` says whether a step (without its label) has what it changes."""

    name: str
    how: str
    before: str
    after: str
    fits: Callable[[str], bool]


def _numbers(at_least: int) -> Callable[[str], bool]:
    return lambda step: len(numbers_in(step)) >= at_least


def _operation(step: str) -> bool:
    return _OPERATION.search(step) is not None


def _in_words(step: str) -> bool:
    return re.search(r"[\d=]", step) is None and len(step.split()) > 2


EDITS: dict[str, Edit] = {
    edit.name: edit
    for edit in (
        Edit("change a number", "one number in it becomes another number, and nothing else changes",
             "A row has 6 + 9 = 15 seats.", "A row has 6 + 9 = 16 seats.", _numbers(1)),
        Edit("change related numbers", "a number becomes another, and so do those that follow from it in the step",
             "A row has 6 + 9 = 15 seats.", "A row has 6 + 8 = 14 seats.", _numbers(2)),
        Edit("substitute wrongly", "where a value from the question or an earlier step belongs, another one is taken",
             "The 3 rows have 3 * 15 = 45 seats.", "The 3 rows have 3 * 9 = 27 seats.", _numbers(2)),
        Edit("delete a term", "one term of a calculation is left out",
             "That makes 45 + 12 - 4 = 53 seats.", "That makes 45 + 12 = 57 seats.", _operation),
        Edit("change an operator", "one operation becomes another one",
             "So 53 - 18 = 35 seats are free.", "So 53 + 18 = 71 seats are free.", _operation),
        Edit("swap two terms", "two terms of a calculation or two sides of a relation change places",
             "So 53 - 18 = 35 seats are free.", "So 18 - 53 = -35 seats are free.", _operation),
        Edit(WORDING, "a word that describes what is meant becomes one that means something else",
             "The seats in the back row are the cheaper ones.", "The seats in the back row are the dearer ones.",
             _in_words),
    )
}  # fmt: skip


def fitting(step: str, names: Sequence[str]) -> list[Edit]:
    """Those of the named edits that this step has room for."""
    text = STEP_LABEL.sub("", step)
    return [EDITS[name] for name in names if EDITS[name].fits(text)]


def edit_prompt(question: Question, steps: Sequence[str], at: int, edit: Edit) -> tuple[Message, ...]:
    """The request to make the step at index `at` of a right solution wrong."""
    instruction = EDIT.format(name=edit.name.capitalize(), how=edit.how, before=edit.before, after=edit.after)
    shown = number_steps(steps[:at]) if join_steps(steps[:at]).strip() else "(nothing yet)"
    target = (
        f"Question:\n{question_text(question)}\n\nSolution So Far:\n{shown}\n\n"
        f"Step To Edit:\n{steps[at].strip()}\n\nEdit: {edit.name}"
    )
    return (Message("user", f"{instruction}\n\n---\n\n{target}"),)
