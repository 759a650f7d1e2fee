"""The checks on a step that was made wrong on purpose: near the right one, silent about it, really wrong. For `rise`.

Whether it is wrong is shown by its numbers: it calculates falsely, or it arrives at another value than the right step.
"""

from __future__ import annotations

import re
from fractions import Fraction

from lema_ray import checks
from lema_ray.grading.equations import equations_in
from lema_ray.grading.numbers import numbers_in
from lema_ray.recipes.recipe import Rejected
from lema_ray.recipes.step_labels import STEP_LABEL

TELLS = re.compile(r"(?i)\b(?:mistakes?|errors?|incorrect(?:ly)?|wrong(?:ly)?|edited|modified|instead of)\b")
"""Words that speak of the change; a right solution may use some of them, so only new ones count."""


def clean_edit(edited: str, right: str) -> str:
    """The edited step as it stands in a solution: on one line where the right one is, and with its label."""
    label = STEP_LABEL.match(right)
    text = edited.strip() if "\n" in right.strip() else " ".join(edited.split())
    if label and not STEP_LABEL.match(text):
        text = label[0] + text
    return text


def check_edit(edited: str, right: str, similarity: float) -> None:
    """Raises `Rejected` unless an edited step differs from the right one, is near to it, and does not say so."""
    if not checks.differs(edited, right):
        raise Rejected("no_change")
    if checks.says_doubt(edited) or {m.casefold() for m in TELLS.findall(edited)} - _words(right):
        raise Rejected("gives_itself_away")
    if near(edited, right) < similarity:
        raise Rejected("too_different")


def near(one: str, other: str) -> float:
    """How alike two steps are: 1 minus the edit distance as a share of the longer one's characters."""
    from rapidfuzz.distance import Levenshtein

    return Levenshtein.normalized_similarity(one.strip(), other.strip())


def is_sound(step: str) -> bool:
    """No calculation in the step is false."""
    return all(equation.is_true for equation in equations_in(step))


def shown_wrong(edited: str, right: str, reference: str) -> bool:
    """The numbers show that the edited step is wrong, given that the right step is right."""
    if not is_sound(edited):
        return True
    made, wanted = arrives_at(edited), arrives_at(right)
    return made is not None and wanted is not None and made != wanted and [made] != numbers_in(reference)


def arrives_at(step: str) -> Fraction | None:
    """The value of a step's last equation, else its last number."""
    text = STEP_LABEL.sub("", step)
    equations = equations_in(text)
    return equations[-1].result if equations else next(reversed(numbers_in(text)), None)


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.casefold()))
