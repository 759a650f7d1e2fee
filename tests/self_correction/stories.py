"""Scripted models and the stories that they tell, and what every answer promises. Used by the tests of policies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence

from lema_ray.config import Policy
from lema_ray.recipes.lema import LEARN
from lema_ray.records import Completion, Message, Question, Sampling, Trace
from lema_ray.self_correction.events import Began, Event, Piece, event_json
from lema_ray.self_correction.models import Models
from lema_ray.self_correction.policies import correct_itself
from lema_ray.self_correction.problem import from_question
from lema_ray.self_correction.streams import Streaming

CRITIQUE = "Step 1: right - it is.\nStep 2: wrong - 10 + 5 is 15.\nFinal answer: wrong"
QUESTION = Question("q", "Ann has 12 apples, eats 2 and buys 5. How many has she?", "15", "t")
WRONG = "Step 1: 12 - 2 = 10\nStep 2: 10 + 5 = 14\nThe answer is 14."
RIGHT = "Step 1: 12 - 2 = 10\nStep 2: 10 + 5 = 15\nThe answer is 15."
CORRECTION = (
    "Incorrect Step: Step 2\nExplanation: 10 + 5 is 15.\nCorrect Solution:\n...\nStep 2: 10 + 5 = 15\nThe answer is 15."
)
DOUBTING = "12 - 2 = 10\n10 + 5 = 14\nThe answer is 14.\nWait, that is wrong.\n10 + 5 = 15\nThe answer is 15."
SAMPLING = Sampling(temperature=0.0, max_tokens=200)

Says = Callable[[str, int], str | Exception]


def model(says: Says | str, size: int = 3) -> Streaming:
    """A model that says what a function of the last message and the number of the request says, in small pieces."""
    asked = iter(range(10_000))

    async def stream(messages: Sequence[Message], sampling: Sampling) -> AsyncIterator[str | Completion]:
        text = says if isinstance(says, str) else says(messages[-1].content, next(asked))
        if isinstance(text, Exception):
            raise text
        for at in range(0, len(text), size):
            await asyncio.sleep(0)
            yield text[at : at + size]
        yield Completion(text, "stop", "m", sum(len(m.content) for m in messages), len(text))

    return stream


def solver(draft: str, correction: str = CORRECTION) -> Streaming:
    """Solves in one way, and corrects in another when it is asked to."""
    return model(lambda asked, _: correction if asked.endswith(LEARN) else draft)


def run(policy: Policy | str, models: Models, sampling: Sampling = SAMPLING) -> list[Event]:
    """All events of an answer to the question."""

    async def collected() -> list[Event]:
        settings = Policy.model_validate(policy) if isinstance(policy, str) else policy
        return [event async for event in correct_itself(settings, from_question(QUESTION), sampling, models)]

    return asyncio.run(collected())


def trace_of(events: list[Event]) -> Trace:
    assert isinstance(events[-1], Trace)
    return events[-1]


def adds_up(events: list[Event]) -> Trace:
    """The promises of every policy on every reply."""
    trace = trace_of(events)
    assert sum(isinstance(e, Trace) for e in events) == 1
    for number, draft in enumerate(trace.drafts):
        assert "".join(e.text for e in events if isinstance(e, Piece) and e.draft == number) == draft.text
        assert [e.kind for e in events if isinstance(e, Began) and e.draft == number] == [draft.kind]
    found = [e for e in events if event_json(e)["event"] == "doubt"]
    assert sorted(found, key=lambda d: (d.draft, d.start)) == list(trace.doubts)
    for doubt in trace.doubts:
        assert 0 <= doubt.start <= doubt.stop <= len(trace.drafts[doubt.draft].text)
    assert trace.first_answer == trace.final_answer or trace.doubts, "no answer changes without a doubt"
    assert trace.revisions == sum(d.kind == "revision" for d in trace.drafts)
    assert 0 <= trace.extra_tokens <= trace.prompt_tokens + trace.completion_tokens
    return trace
