"""Whatever models reply, every policy ends in a trace that adds up; doubts do not depend on how a text is cut."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from itertools import pairwise
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stories import CORRECTION, CRITIQUE, DOUBTING, RIGHT, WRONG, adds_up

from lema_ray import arrow
from lema_ray.config import Policy, PolicyName
from lema_ray.engines import EngineUnavailable, RequestRefused
from lema_ray.records import Completion, Message, Question, Sampling, Trace
from lema_ray.self_correction.correction_reader import CorrectionReader
from lema_ray.self_correction.doubts import DoubtFinder, find_doubts
from lema_ray.self_correction.events import content, event_json, story
from lema_ray.self_correction.models import Models
from lema_ray.self_correction.policies import POLICIES, correct_itself
from lema_ray.self_correction.problem import from_question

FRAGMENTS = st.sampled_from(
    [
        WRONG,
        RIGHT,
        CORRECTION,
        CRITIQUE,
        DOUBTING,
        "Wrong: 80",
        "\n",
        "Step 1: ",
        "Correct Solution:",
        "Incorrect Step: 1",
        "wait, no.",
        "The answer is ",
        "12 - 2 = 9\n",
        "...",
        "{",
        '{"correct_solution": ["x"]}',
        "\\boxed{",
        "\x00",
        "é",
    ]
)
REPLY = st.lists(FRAGMENTS | st.text(max_size=12), max_size=6).map("".join)
TASKS = [
    Question("q", "How many?", "15", "t"),
    Question("q", "Which?", "A", "t", "choice", choices=("a cat", "a dog")),
]


class Anything:
    """Replies in turn, in pieces of any size, each cut off, refused, or whole; counts what it was asked."""

    def __init__(self, replies: Sequence[str], size: int, ends: Sequence[str]) -> None:
        self.replies, self.size, self.ends, self.requests = replies, size, ends, 0
        self.open = 0

    async def __call__(self, messages: Sequence[Message], sampling: Sampling) -> AsyncIterator[str | Completion]:
        number = self.requests % len(self.replies)
        self.requests += 1
        self.open += 1
        try:
            text, end = self.replies[number], self.ends[number % len(self.ends)]
            if end == "refused":
                raise RequestRefused("content_filter", "no", Completion("", "stop", "m", 3, 4))
            for at in range(0, len(text), self.size):
                yield text[at : at + self.size]
                await asyncio.sleep(0)
            if end != "lost":
                yield Completion(text, "length" if end == "length" else "stop", "m", 2, 5)
        finally:
            self.open -= 1


@pytest.mark.parametrize("name", get_args(PolicyName))
@given(
    replies=st.lists(REPLY, min_size=1, max_size=4),
    size=st.integers(1, 40),
    ends=st.lists(st.sampled_from(["stop", "stop", "stop", "length", "refused", "lost"]), min_size=1, max_size=4),
    question=st.sampled_from(TASKS),
    bounds=st.fixed_dictionaries(
        {
            "max_revisions": st.integers(0, 3),
            "max_tokens": st.none() | st.integers(1, 40),
            "samples": st.integers(2, 4),
            "return": st.sampled_from(["final", "full"]),
        }
    ),
)
@settings(max_examples=60, deadline=None)
def test_any_reply_ends_in_a_trace(
    name: str, replies: list[str], size: int, ends: list[str], question: Question, bounds: dict[str, object]
) -> None:
    policy = Policy.model_validate({"policy": name, "threshold": 0.5} | bounds)
    says = Anything(replies, size, ends)

    async def collected() -> list[object]:
        return [e async for e in correct_itself(policy, from_question(question), Sampling(max_tokens=20), Models(says))]

    events = asyncio.run(collected())
    trace = adds_up(events)  # type: ignore[arg-type]
    assert trace.policy == name and trace.requests == says.requests and says.open == 0
    assert trace.revisions <= policy.max_revisions
    text = "".join(content(event, policy) for event in events)  # type: ignore[arg-type]
    one = name in ("off", "spontaneous") or policy.returns == "final"
    assert text == (trace.text if one else story(trace))
    assert arrow.from_table(Trace, arrow.to_table([trace], Trace)) == [trace] or "\x00" in repr(trace)
    assert all(isinstance(event_json(event)["event"], str) for event in events)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", POLICIES)
def test_a_huge_reply_takes_no_time(name: PolicyName) -> None:
    huge = CORRECTION + "\nStep 2: 10 + 5 = 15, wait.\n" * 3_000 + "The answer is 15."
    says, policy = Anything([huge], 7, ["stop"]), Policy(policy=name, samples=2)

    async def last() -> object:
        return [e async for e in correct_itself(policy, from_question(TASKS[0]), Sampling(), Models(says))][-1]

    assert isinstance(asyncio.run(last()), Trace), "a fifth of a second, unless it takes quadratic time"


@pytest.mark.parametrize("name", POLICIES)
def test_an_engine_that_is_gone_is_raised(name: PolicyName) -> None:
    async def gone(messages: Sequence[Message], sampling: Sampling) -> AsyncIterator[str | Completion]:
        yield "Step"
        raise EngineUnavailable("gone")

    async def all_of_it() -> None:
        async for _ in correct_itself(Policy(policy=name), from_question(TASKS[0]), Sampling(), Models(gone)):
            pass

    with pytest.raises(EngineUnavailable, match="gone"):
        asyncio.run(all_of_it())


@given(text=REPLY | st.text(max_size=80), cuts=st.lists(st.integers(0, 400), max_size=30))
def test_doubts_are_those_of_the_whole_text_however_it_is_cut(text: str, cuts: list[int]) -> None:
    finder, marks = DoubtFinder(), sorted({0, len(text), *(c for c in cuts if c < len(text))})
    found = [d for a, b in pairwise(marks) for d in finder.feed(text[a:b])] + finder.end()
    assert sorted(found, key=lambda d: d.start) == find_doubts(text)


@given(reply=REPLY, size=st.integers(1, 30))
def test_a_correction_reads_the_same_however_it_is_cut(reply: str, size: int) -> None:
    def read(size: int) -> object:
        reader, parts = CorrectionReader(["Step 1: a\n", "Step 2: b"], "arithmetic"), list[str]()
        try:
            for at in range(0, len(reply), size):
                parts += reader.feed(reply[at : at + size])
            parts += reader.end()
        except Exception as error:
            return type(error), str(error), parts
        return reader.wrong_step, reader.explanation, parts

    assert read(size) == read(len(reply) or 1)
