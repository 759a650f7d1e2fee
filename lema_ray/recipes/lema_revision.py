"""A corrector's steps joined to the attempt's: the whole revision of a LeMa correction. Used by `lema`."""

from __future__ import annotations

import re

from lema_ray import checks
from lema_ray.recipes.recipe import Rejected
from lema_ray.recipes.step_labels import labelled_steps, written_as
from lema_ray.steps import join_steps


def join_to_attempt(fields: dict[str, str], steps: list[str]) -> tuple[int, str, dict[str, str]]:
    """The wrong step (0-based), the whole revision, and the fields in the paper's layout. Raises `Rejected`."""
    number = re.search(r"\d+", fields["incorrect_step"])
    wrong = int(number.group()) - 1 if number else -1
    if not checks.step_exists(wrong, steps):
        raise Rejected("bad_step")
    written = labelled_steps(fields["correct_solution"], first=wrong + 1)
    if not written or written[0][0] > wrong + 1:
        raise Rejected("bad_step")
    if not checks.keeps_prefix([text for label, text in written if label <= wrong], steps):
        raise Rejected("prefix_changed")
    corrected = [text for label, text in written if label > wrong]
    numbered = "\n".join(f"Step {wrong + 1 + i}: {text}" for i, text in enumerate(corrected))
    layout = {
        "incorrect_step": f"Step {wrong + 1}",
        "explanation": fields["explanation"],
        "correct_solution": ("...\n" if wrong > 0 else "") + numbered,
    }
    kept = join_steps(steps[:wrong]).rstrip()
    written_on = written_as(steps, corrected, wrong + 1)
    return wrong, "\n".join((kept, written_on)) if kept else written_on, layout
