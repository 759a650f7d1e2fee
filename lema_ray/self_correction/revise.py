"""`revise`: LeMa at test time. The model, or another one, names the wrong step, explains it and solves on from there.

The request is the one that LeMa's correction rows teach (arXiv 2310.20689, section 2.2); the paper itself never uses it
to answer. Used alone, and by `verify` and `vote` once they doubt.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator

from lema_ray.recipes.lema import learn_prompt
from lema_ray.recipes.recipe import Rejected
from lema_ray.records import Completion, Doubt
from lema_ray.self_correction.answering import Answering, Ended
from lema_ray.self_correction.correction_reader import CorrectionReader
from lema_ray.self_correction.events import Began, Event, Piece
from lema_ray.self_correction.spontaneous import off
from lema_ray.steps import split_steps, step_span


async def revise(run: Answering) -> AsyncGenerator[Event, None]:
    """A draft, then one correction after the other, until two have the same answer or the bound is reached."""
    async for event in off(run):
        yield event
    if run.policy.max_revisions == 0:
        run.stop_reason = "max_revisions"
    for _ in range(run.policy.max_revisions):
        before = run.drafts[run.best].answer
        async for event in correct(run, run.best):
            yield event
        if run.stop_reason != "revised" or run.drafts[run.best].answer == before:
            return


async def correct(run: Answering, number: int) -> AsyncGenerator[Event, None]:
    """One correction of a draft: the doubt, then the revision step by step. A reply that calls it right ends there.

    Raises `Ended`, also with `unreadable_reply`.
    """
    draft, question = run.drafts[number], run.problem.question
    reader = CorrectionReader(split_steps(draft.text), question.task)
    parts: list[str] = []
    revision, done = -1, False
    try:
        async for text in _read(run, draft.text, reader):
            if revision < 0:
                yield run.doubt(_doubt(number, reader, draft.text))
                revision = run.begin("revision")
                yield Began(revision, "revision")
            parts.append(text)
            yield Piece(revision, text)
        done = True
    except Rejected as rejected:
        if rejected.reason != "called_right":
            raise Ended("unreadable_reply", rejected.reason) from None
    finally:
        if revision >= 0:
            run.finish(revision, "".join(parts), done)
    if done and revision < 0:
        raise Ended("unreadable_reply")
    run.stop_reason = "revised" if done else "no_doubt"


async def _read(run: Answering, solution: str, reader: CorrectionReader) -> AsyncIterator[str]:
    model = run.models.reviser or run.models.solver
    whole: Completion | None = None
    async for item in run.stream(model, learn_prompt(run.problem.question, solution), run.sampling):
        if isinstance(item, Completion):
            whole = item
            continue
        for text in reader.feed(item):
            yield text
    if whole is None or whole.finish_reason == "length":
        raise Ended("max_tokens")
    for text in reader.end():
        yield text


def _doubt(number: int, reader: CorrectionReader, solution: str) -> Doubt:
    """The doubt about the step that a correction calls wrong; about the whole text where there are no steps."""
    wrong = reader.wrong_step
    span = (0, len(solution)) if wrong is None else step_span(reader.steps, wrong)
    return Doubt(*span, "judged", number, wrong, reader.explanation, "model")
