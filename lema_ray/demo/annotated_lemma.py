"""The annotated teacher's answers to the LEMMA requests, from a question's worked solution. Called by `annotated`.

It analyses, goes on from a wrong step and smooths; it does not make mistakes on purpose, and says so.
"""

from __future__ import annotations

from lema_ray.demo.numbered import read_steps
from lema_ray.demo.requests import Request, joined, show_fields
from lema_ray.demo.slips import Slip, error_type, explain, first_slip
from lema_ray.demo.teacher_lemma import ANALYSIS, LINKS, RESTARTS, TURN
from lema_ray.demo.wordings import NO_MISTAKE
from lema_ray.demo.worked import Worked

CANNOT_ERR = "I cannot do this: I only know right solutions."


def answer(request: Request, worked: Worked, as_json: bool) -> str:
    """The reply to one request about a question whose worked solution is known."""
    if request.kind in ("inject", "edit"):
        return CANNOT_ERR
    if request.kind == "smooth":
        blocks = request.blocks
        turn = {"doubt": f"{blocks['Doubt']} {LINKS[0]}", "continuation": blocks["Continuation"]}
        return show_fields(turn, TURN, as_json)
    steps = read_steps(request.steps)
    slip = first_slip(worked, steps)
    if slip is None or not steps:
        return NO_MISTAKE
    if request.kind == "analyze":
        return show_fields(_analysis(worked, slip, steps), ANALYSIS, as_json)
    if request.kind == "reflect":
        doubt = joined(request.blocks.get("Words", "Wait."), explain(worked, slip, steps))
        return show_fields({"doubt": doubt}, TURN, as_json)
    return show_fields(_turn(request, worked, slip, steps), TURN, as_json)


def _analysis(worked: Worked, slip: Slip, steps: list[str]) -> dict[str, object]:
    named = {"explanation": explain(worked, slip, steps), "incorrect_step": slip.step + 1}
    # A false calculation is certain; that a number does not belong is a guess from one worked solution.
    return named | {"error_type": error_type(worked, slip), "confidence": 90 if slip.kind == "arithmetic" else 50}


def _turn(request: Request, worked: Worked, slip: Slip, steps: list[str]) -> dict[str, object]:
    doubt = joined(request.blocks.get("Words", "Wait."), explain(worked, slip, steps))
    fresh = request.kind == "fresh"
    lines = (*worked.lines[0 if fresh else slip.start :], f"The answer is {worked.answer}.")
    first = 1 if fresh else len(steps)
    solution = "\n".join(f"Step {first + i}: {line}" for i, line in enumerate(lines))
    return {"doubt": f"{doubt} {RESTARTS[0]}" if fresh else doubt, "continuation": solution}
