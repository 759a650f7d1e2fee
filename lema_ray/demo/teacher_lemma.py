"""The rule-based teacher's answers to the LEMMA requests: analyse, go on from a wrong step, err on purpose, smooth.

`teacher.reply` calls it with the story that it read. It knows nothing but the story and the request's text.
"""

from __future__ import annotations

from random import Random

from lema_ray.demo.diagnosis import Diagnosis, diagnose, read_steps
from lema_ray.demo.erring import err
from lema_ray.demo.grammar import Story
from lema_ray.demo.requests import Request, joined, show_fields
from lema_ray.demo.wordings import CANNOT, NO_MISTAKE, explain, repair, spoilt

# What the error types of the shipped taxonomy are called, by kind of diagnosis.
TYPES = {
    "arithmetic": "calculation",
    "operation": "operator",
    "operand": "context value",
    "carried": "contradictory step",
    "missed": "missing step",
    "distraction": "hallucination",
    "extra": "hallucination",
    "answer": "contradictory step",
    "no_answer": "missing step",
}
ANALYSIS = {
    "explanation": "Explanation",
    "incorrect_step": "Incorrect Step",
    "error_type": "Error Type",
    "confidence": "Confidence",
}
TURN = {"doubt": "Doubt", "continuation": "Continuation"}
WRONG = {"solution": "Wrong Solution", "wrong_step": "Wrong Step", "explanation": "Explanation"}
RESTARTS = ("Let me start over.", "I will do it again from the beginning.", "Let me go through the story again.")
LINKS = ("Here is how it should go.", "With that in mind, I go on.", "Now more carefully.")


def answer(request: Request, story: Story, rng: Random, as_json: bool, slip: int) -> str:
    """The reply to one request; `slip` is added to the answer where the teacher is to be wrong."""
    if request.kind == "inject":
        return _inject(request, story, rng, as_json)
    if request.kind == "smooth":
        fields = {"doubt": request.blocks["Doubt"], "continuation": request.blocks["Continuation"]}
        fields["doubt"] = f"{fields['doubt']} {rng.choice(LINKS)}"
        return show_fields(fields, TURN, as_json)
    steps = read_steps(request.steps)
    found = diagnose(story, steps)
    if found is None:
        return NO_MISTAKE if steps else CANNOT
    if request.kind == "analyze":
        return _analyze(story, found, rng, as_json)
    doubt = joined(request.blocks.get("Words", "Wait."), explain(story, found, rng))
    if request.kind == "fresh":
        fields = {"doubt": f"{doubt} {rng.choice(RESTARTS)}", "continuation": spoilt(story.solution, story, slip)}
    else:
        fields = {"doubt": doubt, "continuation": spoilt(repair(story, steps, found), story, slip)}
    return show_fields(fields, TURN, as_json)


def _analyze(story: Story, found: Diagnosis, rng: Random, as_json: bool) -> str:
    fields = {
        "explanation": explain(story, found, rng),
        "incorrect_step": found.step.number,
        "error_type": _error_type(story, found),
        "confidence": 100,
    }
    return show_fields(fields, ANALYSIS, as_json)


def _error_type(story: Story, found: Diagnosis) -> str:
    made, last = found.made, found.done == len(story.changes) - 1
    if found.kind == "missed" and made is None and last:
        return "question misinterpretation"  # it stops at the number before the last event
    if made is not None and found.kind in ("operand", "operation"):
        want = story.calculations[found.done + found.step.calculations.index(made)]
        if found.kind == "operand" and abs(made.right - want.right) == 1:
            return "counting"
        if found.kind == "operation" and want.symbol in "*/" and made.symbol in "+-":
            return "confusing concept"  # so many times as many, and so many more
    return TYPES[found.kind]


def _inject(request: Request, story: Story, rng: Random, as_json: bool) -> str:
    made = err(story, request.blocks["Mistake To Make"].partition("(")[0].strip(), rng)
    if made is None:
        return CANNOT
    fields = {"solution": made.solution, "wrong_step": made.step, "explanation": made.explanation}
    return show_fields(fields, WRONG, as_json)
