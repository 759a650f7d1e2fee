"""The rule-based teacher as its server has it: `teacher_critique` for critiques and refinements, `teacher_edits` for
edits, doubts about a single step, and `teacher` for all else.

Apart from `teacher`, whose every byte counts towards the identity of the demo's base model.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from lema_ray.demo import teacher, teacher_critique, teacher_edits, teacher_lemma
from lema_ray.demo.diagnosis import diagnose, read_steps
from lema_ray.demo.grammar import Story, read_story
from lema_ray.demo.marks import MARK, marked
from lema_ray.demo.requests import Request, joined, read_request, show_fields
from lema_ray.demo.wordings import CANNOT, NO_MISTAKE, explain
from lema_ray.records import Message, content_id


def reply(messages: Sequence[Message], as_json: bool = False, error_rate: float = 0.0) -> str:
    """The teacher's reply to a chat: the same chat always gets the same one. `error_rate` as for `teacher.reply`.

    Asked about a solution with `marks` behind its steps, it marks its own.
    """
    said = _reply(messages, as_json, error_rate)
    return marked(said) if any(MARK in message.content for message in messages) else said


def _reply(messages: Sequence[Message], as_json: bool, error_rate: float) -> str:
    last = messages[-1].content if messages and messages[-1].role == "user" else ""
    request = read_request(last)
    rng = Random(content_id(*(message.content for message in messages)))
    slip = rng.choice((1, 2, 10)) if rng.random() < error_rate else 0
    if request is not None and request.kind in ("critique", "edit", "reflect"):
        story = read_story(request.question)
        return CANNOT if story is None else _answer(request, story, rng, as_json, slip)
    if len(messages) > 2 and messages[-2].role == "assistant" and read_story(_question(last)) is None:
        story = read_story(_question(messages[-3].content))
        return CANNOT if story is None else teacher_critique.refine(story, messages[-2].content, last, slip)
    return teacher.reply(messages, as_json, error_rate)


def _answer(request: Request, story: Story, rng: Random, as_json: bool, slip: int) -> str:
    if request.kind == "critique":
        return teacher_critique.criticize(request, story, rng, slip)
    if request.kind == "edit":
        return teacher_edits.answer(request, story, rng, as_json)
    steps = read_steps(request.steps)
    found = diagnose(story, steps, finished=False)
    if found is None:
        return NO_MISTAKE if steps else CANNOT
    doubt = joined(request.blocks.get("Words", "Wait."), explain(story, found, rng))
    return show_fields({"doubt": doubt}, teacher_lemma.TURN, as_json)


def _question(asked: str) -> str:
    """The question before the instruction that ends a request for a solution."""
    return asked.partition("\n\n")[0].strip()
