"""What a model is asked, as its messages and as the question in them. Made by evaluation and the server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lema_ray.attempts import INSTRUCTIONS, question_text, solve_prompt
from lema_ray.records import Message, Question, Task, content_id


@dataclass(frozen=True, slots=True)
class Problem:
    """`messages` is what the solver is asked; `question` is what those are shown who look at its solution."""

    messages: tuple[Message, ...]
    question: Question

    @property
    def text(self) -> str:
        """The question with its lettered choices."""
        return question_text(self.question)


def from_question(question: Question, few_shot: int = 0, warnings: Sequence[str] = ()) -> Problem:
    """A question, asked as models are taught, perhaps with `warnings` of mistakes."""
    return Problem(solve_prompt(question, few_shot, warnings), question)


def from_messages(messages: Sequence[Message]) -> Problem:
    """A conversation: its last user message is the question, without our own instruction if it ends in one."""
    asked = next((m.content for m in reversed(messages) if m.role == "user"), "")
    text, task = _without_instruction(asked.strip())
    return Problem(tuple(messages), Question(content_id(text), text, "", "conversation", task))


def _without_instruction(asked: str) -> tuple[str, Task]:
    for task, instruction in INSTRUCTIONS.items():
        if asked.endswith(instruction):
            return asked.removesuffix(instruction).rstrip(), task
    return asked, "arithmetic"
