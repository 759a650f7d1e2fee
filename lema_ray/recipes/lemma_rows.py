"""Training rows of the `lemma` recipe: kept steps, wrong step, doubt and continuation as spans under the solve prompt.

`parts` choose what becomes of a correction here and not when it was made, so that one run's corrections serve every
ablation. With `truncation` left out the whole wrong attempt stands before the doubt, whose words were written for the
cut one.
"""

from __future__ import annotations

from collections.abc import Iterator

from lema_ray import checks
from lema_ray.recipes.lemma_options import LemmaOptions
from lema_ray.recipes.rows import corrected_attempt, row_of, turn_spans
from lema_ray.recipes.trajectory import Start
from lema_ray.records import Correction, GradedQuestion, Span, TrainingExample, content_id
from lema_ray.steps import join_steps, split_steps


def rows_of(graded: GradedQuestion, correction: Correction, options: LemmaOptions) -> list[TrainingExample]:
    """The row of one correction; none when the parts leave its kind out."""
    if not _is_wanted(graded, correction, options):
        return []
    first = _failed_before(graded, correction, options)
    spans = [*(_spans(graded, first, options, with_rest=False) if first else ()), *_spans(graded, correction, options)]
    return [row_of(graded, correction, spans, sorted(options.parts))]


def _is_wanted(graded: GradedQuestion, correction: Correction, options: LemmaOptions) -> bool:
    origin = "injected" if corrected_attempt(graded, correction).origin == "injected" else "sampled"
    return correction.strategy in options.parts and origin in options.parts


def _start(graded: GradedQuestion, correction: Correction) -> Start:
    return Start(split_steps(corrected_attempt(graded, correction).text), correction.wrong_step or 0)


def _spans(
    graded: GradedQuestion, correction: Correction, options: LemmaOptions, with_rest: bool = True
) -> Iterator[Span]:
    """What was right, what was wrong, and the doubt with what follows; joined they are the solution."""
    start = _start(graded, correction)
    wrong = start.wrong_part if "truncation" in options.parts else join_steps(start.steps[start.wrong :])
    smooth = "smoothing" in options.parts and "smooth_rest" in correction.fields
    doubt, rest = (correction.fields[("smooth_" if smooth else "") + key] for key in ("doubt", "rest"))
    yield from turn_spans(
        start.right_part, wrong, doubt, rest if with_rest else "", "learn_wrong_step" in options.parts
    )


def _failed_before(graded: GradedQuestion, correction: Correction, options: LemmaOptions) -> Correction | None:
    """For the share of rows with several doubts: a fresh start after another mistake, to stand before this one.

    One that comes no later, as otherwise the new start would spoil a step that was right before.
    """
    if "several" not in options.parts or int(content_id("several", correction.id), 16) / 2**64 >= options.several:
        return None
    # Mistakes that differ only after the wrong step would make the same beginning twice.
    begun = checks.plain(_start(graded, correction).kept)
    others = (
        other
        for other in graded.corrections
        if other.strategy == "fresh"
        and other.recipe == correction.recipe
        and _is_wanted(graded, other, options)
        and checks.plain(_start(graded, other).kept) != begun
        and (other.wrong_step or 0) <= (correction.wrong_step or 0)
    )
    return min(others, key=lambda other: content_id(correction.id, other.id), default=None)
