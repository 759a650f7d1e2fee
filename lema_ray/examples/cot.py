"""CoT rows: a question and a solution that is right, asked as students are asked.

Called by `units`. The solutions are the questions' own, students' right attempts, and solutions that a stronger model
wrote (LeMa section 3.2); corrected solutions as CoT rows are the paper's CoT-45K control (section 4.1).
"""

from __future__ import annotations

from lema_ray.attempts import solve_prompt
from lema_ray.config import BuildConfig, CotSource
from lema_ray.records import Attempt, Correction, GradedQuestion, Question, Span, TrainingExample, content_id


def cot_examples(graded: GradedQuestion, config: BuildConfig, seed: int) -> list[tuple[CotSource, TrainingExample]]:
    """At most `cot_per_question` rows with distinct solutions, each with its source.

    Sources that the config names first go first; within a source the choice is random but the same for the same seed.
    """
    chosen: dict[str, tuple[CotSource, TrainingExample]] = {}
    for source in config.cot:
        for text, attempt in _solutions(graded, source, seed):
            if len(chosen) < config.cot_per_question:
                chosen.setdefault(" ".join(text.split()), (source, _example(graded.question, text, attempt)))
    return list(chosen.values())


def revision_example(question: Question, correction: Correction) -> TrainingExample:
    """A correction's revised solution as if it had been the first attempt."""
    return TrainingExample(
        id=content_id("revision", correction.id),
        prompt=solve_prompt(question),
        target=(Span(correction.revision),),
        kind="cot",
        question_id=question.id,
        attempt_id=correction.attempt_id,
        correction_id=correction.id,
    )


def _solutions(graded: GradedQuestion, source: CotSource, seed: int) -> list[tuple[str, Attempt | None]]:
    if source == "solution":
        return [(graded.question.solution, None)] if graded.question.solution else []
    origins = ("written",) if source == "written" else ("sampled", "imported")
    # A cut-off text that happens to hold the right answer would teach never to stop.
    fit = [a for a in graded.right if a.origin in origins and a.finish_reason != "length" and a.text.strip()]
    return [(a.text, a) for a in sorted(fit, key=lambda a: content_id(str(seed), graded.question.id, a.text))]


def _example(question: Question, text: str, attempt: Attempt | None) -> TrainingExample:
    return TrainingExample(
        id=content_id("cot", question.id, text),
        prompt=solve_prompt(question),
        target=(Span(text.strip()),),
        kind="cot",
        question_id=question.id,
        attempt_id=attempt.id if attempt else None,
    )
