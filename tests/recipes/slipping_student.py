"""A student for tests that goes on with a solution that is begun, slips now and then, and edits as the teacher does."""

from __future__ import annotations

import re
from collections.abc import Sequence
from random import Random

from lema_ray.demo import programmer
from lema_ray.demo.grammar import Calculation, Story, read_story
from lema_ray.demo.program_problems import read_problem
from lema_ray.demo.rules import reply
from lema_ray.records import Completion, Message, Sampling


class SlippingStudent:
    """Continues a final assistant message. `says` takes the place of its words; `slips` is the share of bad steps."""

    def __init__(self, says: str | Exception | None = None, slips: float = 0.25) -> None:
        self.says, self.slips, self.requests = says, slips, 0
        self.asked: list[tuple[Sequence[Message], Sampling]] = []

    async def __call__(self, messages: Sequence[Message], sampling: Sampling) -> Completion:
        self.requests += 1
        self.asked.append((messages, sampling))
        if isinstance(self.says, Exception):
            raise self.says
        text = self._text(messages, Random(sampling.seed)) if self.says is None else self.says
        for stop in sampling.stop:
            text = text.split(stop)[0]
        return Completion(text, "stop", "student", 10, 5, cost=0.25)

    def _text(self, messages: Sequence[Message], rng: Random) -> str:
        asked = next(m.content for m in messages if m.role == "user")
        story = read_story(asked.splitlines()[0])
        begun = messages[-1].content if messages[-1].role == "assistant" else ""
        if story is None:
            return programmer.reply(messages, rng.getrandbits(32)) if read_problem(asked) else reply(messages)
        return "\n".join(going_on(story, begun.splitlines(), rng, self.slips))


def going_on(story: Story, lines: Sequence[str], rng: Random, slips: float) -> list[str]:
    """The lines that follow on some lines of a solution, each wrong with the chance `slips`."""
    written: list[str] = []
    value = int(re.findall(r"\d+", lines[-1])[-1]) if lines else story.start
    for number, change in list(enumerate(story.changes, 1))[len(lines) :]:
        result = Calculation(value, change.symbol, change.operand, 0).true_result
        if result is None:
            return [*written, "This does not come out even."]
        result += rng.choice((1, 2, 10)) if rng.random() < slips else 0
        written.append(
            f"Step {number}: {change.phrase}, so {value} {change.symbol} {change.operand} = {result} {story.things}."
        )
        value = result
    return written if lines and "answer" in lines[-1] else [*written, f"The answer is {value}."]
