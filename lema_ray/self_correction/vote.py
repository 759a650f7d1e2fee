"""`vote`: several solutions at once; the answer that most of them have, and a revision where no answer has a majority.

Self-consistency with LeMa's correction as one more vote. Answers are the same as `grading.votes` sees it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

from lema_ray.grading.votes import answer_classes
from lema_ray.records import Doubt
from lema_ray.self_correction.answering import Answering, Ended
from lema_ray.self_correction.events import Event
from lema_ray.self_correction.merged import merged
from lema_ray.self_correction.revise import correct
from lema_ray.steps import split_steps, step_span

TEMPERATURE = 0.7
"""Of the second solution and those after it where greedy decoding was asked for: they would all be the first."""


async def vote(run: Answering) -> AsyncGenerator[Event, None]:
    """Ends with `agreed` when more than half have one answer; else each revision is one more vote, up to the bound."""
    ended: list[Ended] = []
    async with aclosing(merged([_sample(run, k, ended) for k in range(run.policy.samples)])) as events:
        async for event in events:
            yield event
    for doubt in _elect(run):
        yield doubt
    # A solution that was cut off has no vote, and is no reason to stop while others have one.
    for end in ended:
        if end.reason != "max_tokens" or _classes(run)[run.best] is None:
            raise end
    if _classes(run)[run.best] is None:
        raise Ended("unreadable_reply")
    for number in _leaders(run)[: run.policy.max_revisions]:
        if _has_majority(run):
            break
        yield _doubted(run, number)
        async for event in correct(run, number):
            yield event
        for doubt in _elect(run):
            yield doubt
    run.stop_reason = "agreed" if _has_majority(run) else "max_revisions"


async def _sample(run: Answering, k: int, ended: list[Ended]) -> AsyncGenerator[Event, None]:
    sampling = run.sampling
    if k > 0:
        seed = None if sampling.seed is None else sampling.seed + k
        sampling = replace(sampling, seed=seed, temperature=sampling.temperature or TEMPERATURE)
    try:
        async for event in run.write("vote", run.models.solver, run.problem.messages, sampling):
            yield event
    except Ended as end:
        ended.append(end)


def _classes(run: Answering) -> list[int | None]:
    """What every draft votes for; None for one without an answer or an end."""
    return answer_classes([d.answer if d.finish_reason == "stop" else None for d in run.drafts])


def _leaders(run: Answering) -> list[int]:
    """The first draft of every answer, the one with the most votes first."""
    classes = _classes(run)
    return [classes.index(voted) for voted, _ in Counter(c for c in classes if c is not None).most_common()]


def _has_majority(run: Answering) -> bool:
    classes = _classes(run)
    return 2 * classes.count(classes[run.best]) > len(classes)


def _elect(run: Answering) -> list[Doubt]:
    """Make the leader the best draft; a doubt about the first one when it is outvoted for the first time."""
    run.best = next(iter(_leaders(run)), 0)
    classes = _classes(run)
    known = any(doubt.draft == 0 for doubt in run.doubts)
    return [] if known or classes[0] == classes[run.best] else [_doubted(run, 0)]


def _doubted(run: Answering, number: int) -> Doubt:
    """The doubt of the votes, about the last step of a draft."""
    steps, counts = split_steps(run.drafts[number].text), Counter(_classes(run))
    examples = {c: draft.answer for c, draft in zip(_classes(run), run.drafts, strict=True) if c is not None}
    said = ", ".join(f"{votes} for {examples[c]}" for c, votes in counts.most_common() if c is not None)
    span = step_span(steps, len(steps) - 1) if steps else (0, 0)
    return run.doubt(Doubt(*span, "judged", number, None, f"Of {len(run.drafts)} solutions {said}.", "votes"))
