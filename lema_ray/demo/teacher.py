"""The rule-based teacher: a chat request in, a reply out, from nothing but the request's text.

`server` puts it behind HTTP, so the pipeline cannot tell it from a model. It solves a question, or finds the first
wrong step of an `Original Solution:`, explains it and repairs it from there; `teacher_lemma` answers what LEMMA asks.
It knows only the demo's word problems and says so when asked anything else.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from random import Random

from lema_ray.demo import teacher_lemma
from lema_ray.demo.diagnosis import Step, diagnose, read_steps
from lema_ray.demo.grammar import Story, read_story
from lema_ray.demo.requests import read_request
from lema_ray.demo.wordings import CANNOT, NO_MISTAKE, explain, repair, spoilt
from lema_ray.records import Message, content_id


def reply(messages: Sequence[Message], as_json: bool = False, error_rate: float = 0.0) -> str:
    """The teacher's reply to a chat. With `as_json` a correction comes as a JSON object.

    The same chat always gets the same reply. `error_rate` is the share of chats that are answered with a wrong number.
    """
    asked = next((m.content for m in reversed(messages) if m.role == "user"), "")
    rng = Random(content_id(asked))
    question, marker, attempt = asked.rpartition("Question:")[-1].partition("Original Solution:")
    story = _find_story(question)
    if story is None:
        return CANNOT
    slip = rng.choice((1, 2, 10)) if rng.random() < error_rate else 0
    if request := read_request(asked):
        return teacher_lemma.answer(request, story, rng, as_json, slip)
    if not marker:
        return spoilt(story.solution, story, slip)
    return _correct(story, read_steps(_first_block(attempt)), rng, as_json, slip)


def _find_story(text: str) -> Story | None:
    stories = [read_story(line) for line in text.splitlines() if line.strip()]
    return next((s for s in reversed(stories) if s), None)


def _first_block(attempt: str) -> str:
    return attempt.strip().split("\n\n")[0]


def _correct(story: Story, steps: list[Step], rng: Random, as_json: bool, slip: int) -> str:
    diagnosis = diagnose(story, steps)
    if diagnosis is None:
        return NO_MISTAKE if steps else CANNOT
    explanation = explain(story, diagnosis, rng)
    solution = spoilt(repair(story, steps, diagnosis), story, slip)
    number = diagnosis.step.number
    if as_json:
        fields = {"incorrect_step": number, "explanation": explanation, "correct_solution": solution}
        return json.dumps(fields)
    dots = "...\n" if number > 1 else ""
    return f"Incorrect Step: Step {number}\nExplanation: {explanation}\nCorrect Solution:\n{dots}{solution}"
