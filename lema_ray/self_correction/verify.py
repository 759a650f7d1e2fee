"""`verify`: revise only what a verifier thinks is likely enough to be wrong (SCORE, arXiv 2404.17140).

The paper finds that the verifier decides whether self-correction helps or harms, and that asking the model itself is
the weakest one; `verifier` has those there are.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator

from lema_ray.records import Doubt
from lema_ray.self_correction.answering import Answering, Ended
from lema_ray.self_correction.events import Event
from lema_ray.self_correction.revise import correct
from lema_ray.self_correction.spontaneous import off


async def verify(run: Answering) -> AsyncGenerator[Event, None]:
    """A draft is corrected while its probability of being wrong reaches the threshold, or until the bound."""
    async for event in off(run):
        yield event
    for _ in range(max(1, run.policy.max_revisions)):
        text = run.drafts[run.best].text
        probability = await run.bounded(run.models.verifier(run.problem.text, text, run.ask))
        if probability is None:
            raise Ended("unreadable_reply")
        run.probability_wrong = probability
        threshold = run.policy.threshold
        if probability < (run.models.threshold if threshold is None else threshold):
            run.stop_reason = "below_threshold"
            return
        reason = f"It is wrong with a probability of {probability:.0%}."
        yield run.doubt(Doubt(0, len(text), "judged", run.best, None, reason, "verifier"))
        if run.policy.max_revisions == 0:
            break
        async for event in correct(run, run.best):
            yield event
        if run.stop_reason == "no_doubt":
            return
    run.stop_reason = "max_revisions"
