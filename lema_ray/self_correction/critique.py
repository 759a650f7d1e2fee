"""`critique`: a critic goes through the draft, and the solver writes it again with the critique before it.

The two players of AutoMathCritique (arXiv 2411.16579) at test time, with its gates: revise what the critic calls wrong,
always, or (in evaluation, as an upper bound) what the reference says is wrong.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator

from lema_ray.records import Doubt
from lema_ray.self_correction.answering import Answering, Ended
from lema_ray.self_correction.critic import Critique, revise_prompt
from lema_ray.self_correction.events import Event
from lema_ray.self_correction.spontaneous import off
from lema_ray.steps import split_steps, step_span


async def critique(run: Answering) -> AsyncGenerator[Event, None]:
    """Rounds of critique and revision until the gate lets the draft pass, or the bound is reached."""
    async for event in off(run):
        yield event
    for _ in range(run.policy.max_revisions):
        draft = run.drafts[run.best]
        oracle = run.models.oracle
        if oracle is not None and await run.bounded(oracle(draft.text)):
            return
        found = await run.bounded(run.models.critic(run.problem.text, draft.text, run.ask))
        if found is None:
            raise Ended("unreadable_reply")
        if not found.wrong and oracle is None and run.policy.gate != "always":
            return
        yield run.doubt(_doubt(run.best, draft.text, found))
        model = run.models.reviser or run.models.solver
        messages = revise_prompt(run.problem.messages, draft.text, found)
        async for event in run.write("revision", model, messages, run.sampling):
            yield event
    run.stop_reason = "max_revisions"


def _doubt(number: int, solution: str, found: Critique) -> Doubt:
    """The step that a critique calls wrong; the whole solution where it names none, or is revised whatever it says."""
    steps = split_steps(solution)
    reason = found.reason or ("" if found.wrong else "The critic calls it right; it is revised all the same.")
    if found.wrong_step is None or found.wrong_step >= len(steps):
        return Doubt(0, len(solution), "judged", number, None, reason, "critic")
    return Doubt(*step_span(steps, found.wrong_step), "judged", number, found.wrong_step, reason, "critic")
