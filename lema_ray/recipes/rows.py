"""Training rows of a correction, with their lineage. Used by the recipe files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lema_ray.attempts import solve_prompt
from lema_ray.records import Attempt, Correction, GradedQuestion, Message, Span, TrainingExample, content_id


def corrected_attempt(graded: GradedQuestion, correction: Correction) -> Attempt:
    """The attempt that a correction is about."""
    return next(g.attempt for g in graded.attempts if g.attempt.id == correction.attempt_id)


def row_of(
    graded: GradedQuestion,
    correction: Correction,
    target: Sequence[Span],
    parts: Sequence[str] = (),
    prompt: tuple[Message, ...] | None = None,
    rejected: Sequence[Span] | None = None,
) -> TrainingExample:
    """A row that teaches a correction; `parts` are what of it, `prompt` is the solve prompt unless given.

    With `rejected`, what the target is preferred to, it is a preference pair.
    """
    return TrainingExample(
        id=content_id(correction.id, *parts),
        prompt=solve_prompt(graded.question) if prompt is None else prompt,
        target=_without_blank_start(target),
        kind=correction.recipe,
        question_id=graded.question.id,
        attempt_id=correction.attempt_id,
        correction_id=correction.id,
        rejected=None if rejected is None else _without_blank_start(rejected),
    )


def turn_spans(right_part: str, wrong_part: str, doubt: str, rest: str, learn_wrong: bool) -> Iterator[Span]:
    """What was right, what was wrong, and the doubt with what follows; joined they are a solution that turns."""
    if right_part:
        yield Span(right_part)
    yield Span(wrong_part.rstrip(), learn=learn_wrong)
    yield Span(f"\n{doubt}\n{rest}" if doubt else f"\n{rest}")


def _without_blank_start(spans: Sequence[Span]) -> tuple[Span, ...]:
    """The spans of a target, which may not begin with white space."""
    text = spans[0].text.lstrip()
    return (Span(text, spans[0].learn), *spans[1:]) if text else tuple(spans[1:])
