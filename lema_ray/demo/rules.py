"""The rule-based teacher as its server has it: critiques and refinements by `teacher_critique`, all else `teacher`.

Apart from `teacher`, whose every byte counts towards the identity of the demo's base model.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from lema_ray.demo import teacher, teacher_critique
from lema_ray.demo.grammar import read_story
from lema_ray.demo.requests import read_request
from lema_ray.demo.wordings import CANNOT
from lema_ray.records import Message, content_id


def reply(messages: Sequence[Message], as_json: bool = False, error_rate: float = 0.0) -> str:
    """The teacher's reply to a chat: the same chat always gets the same one. `error_rate` as for `teacher.reply`."""
    last = messages[-1].content if messages and messages[-1].role == "user" else ""
    request = read_request(last)
    critique = request if request and request.kind == "critique" else None
    revision = len(messages) > 2 and messages[-2].role == "assistant" and read_story(_question(last)) is None
    if critique is None and not revision:
        return teacher.reply(messages, as_json, error_rate)
    story = read_story(critique.question if critique else _question(messages[-3].content))
    if story is None:
        return CANNOT
    rng = Random(content_id(*(message.content for message in messages)))
    slip = rng.choice((1, 2, 10)) if rng.random() < error_rate else 0
    if critique:
        return teacher_critique.criticize(critique, story, rng, slip)
    return teacher_critique.refine(story, messages[-2].content, last, slip)


def _question(asked: str) -> str:
    """The question before the instruction that ends a request for a solution."""
    return asked.partition("\n\n")[0].strip()
