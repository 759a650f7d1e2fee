"""Policies on scripted models: each story happens as it should, and any reply at all ends in a trace that adds up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace

import pytest

from lema_ray.attempts import solve_prompt
from lema_ray.config import Policy
from lema_ray.engines import EngineUnavailable, RequestRefused
from lema_ray.recipes.lema import LEARN
from lema_ray.records import Completion, Message, Question, Sampling, Trace
from lema_ray.self_correction.events import Began, Event, Piece, content, event_json
from lema_ray.self_correction.models import Models
from lema_ray.self_correction.policies import correct_itself
from lema_ray.self_correction.problem import from_messages, from_question
from lema_ray.self_correction.streams import Streaming

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


def test_off_is_one_generation() -> None:
    trace = adds_up(run("off", Models(solver(WRONG))))
    assert (trace.first_answer, trace.final_answer, trace.stop_reason) == ("14", "14", "no_doubt")
    assert (trace.requests, trace.extra_tokens, trace.completion_tokens) == (1, 0, len(WRONG))


def test_spontaneous_finds_the_doubt_while_it_streams() -> None:
    events = run("spontaneous", Models(solver(DOUBTING)))
    trace = adds_up(events)
    assert (trace.first_answer, trace.final_answer, trace.stop_reason) == ("14", "15", "doubted")
    (doubt,) = trace.doubts
    assert DOUBTING[doubt.start : doubt.stop] == doubt.reason == "Wait, that is wrong."
    assert events.index(doubt) < len(events) - 3, "before the solution ended"
    assert trace.extra_tokens == len(DOUBTING) - DOUBTING.index("Wait")


def test_revise_keeps_what_stands_before_the_wrong_step() -> None:
    trace = adds_up(run("revise", Models(solver(WRONG))))
    assert (trace.first_answer, trace.final_answer, trace.stop_reason) == ("14", "15", "revised")
    assert [d.text for d in trace.drafts] == [WRONG, RIGHT] and trace.text == RIGHT
    (doubt,) = trace.doubts
    assert WRONG[doubt.start : doubt.stop] == "Step 2: 10 + 5 = 14"
    assert (doubt.step, doubt.reason, doubt.by) == (1, "10 + 5 is 15.", "model")
    assert trace.requests == 2 and trace.completion_tokens == len(WRONG) + len(CORRECTION)


def test_a_revision_streams_before_its_reply_ends() -> None:
    seen: list[str] = []

    async def slow(messages: Sequence[Message], sampling: Sampling) -> AsyncIterator[str | Completion]:
        for line in CORRECTION.splitlines(keepends=True):
            seen.append(line)
            yield line
        yield Completion(CORRECTION, "stop", "m", 1, 1)

    async def first_piece() -> int:
        policy = Policy.model_validate("revise")
        models = Models(solver(WRONG), reviser=slow)
        async for event in correct_itself(policy, from_question(QUESTION), SAMPLING, models):
            if isinstance(event, Piece) and event.draft == 1:
                return len(seen)
        return 0

    assert 0 < asyncio.run(first_piece()) < CORRECTION.count("\n") + 1


@pytest.mark.parametrize(
    ("reply", "reason", "drafts"),
    [
        ("Every step is right.", "no_doubt", 1),
        ("blah blah", "unreadable_reply", 1),
        ("", "unreadable_reply", 1),
        ("Incorrect Step: Step 9\nExplanation: x\nCorrect Solution:\nStep 9: 1", "unreadable_reply", 1),
        ("Incorrect Step: Step 1\nExplanation: x\nCorrect Solution:\n...", "unreadable_reply", 1),
        ('{"incorrect_step": 2, "explanation": "No.", "correct_solution": "Step 2: 10 + 5 = 15"}', "revised", 2),
    ],
)
def test_what_cannot_be_read_leaves_the_draft(reply: str, reason: str, drafts: int) -> None:
    trace = adds_up(run("revise", Models(solver(WRONG, reply))))
    assert (trace.stop_reason, len(trace.drafts)) == (reason, drafts)
    assert drafts == 2 or trace.text == WRONG


def test_rounds_of_revision_end_when_nothing_changes() -> None:
    policy = Policy(policy="revise", max_revisions=5)
    trace = adds_up(run(policy, Models(solver(WRONG))))
    assert trace.revisions == 2 and trace.final_answer == "15", "the second gave the same answer"


def test_a_conversation_is_asked_as_it_is_and_its_question_found() -> None:
    messages = (Message("system", "Be brief."), *solve_prompt(QUESTION))
    problem = from_messages(messages)
    assert problem.messages == messages and problem.question.text == QUESTION.text


def test_plain_clients_read_the_answer_only() -> None:
    for policy in ("off", "spontaneous", "revise"):
        for returns in ("final", "full"):
            settings = Policy(policy=policy, returns=returns)  # type: ignore[arg-type]
            events = run(settings, Models(solver(DOUBTING if policy == "spontaneous" else WRONG)))
            text = "".join(content(event, settings) for event in events)
            assert text.endswith(trace_of(events).text)
            assert (text == trace_of(events).text) == (returns == "final" or policy != "revise")


def test_refusals_are_told_and_a_dead_engine_is_raised() -> None:
    trace = adds_up(run("revise", Models(model(lambda *_: RequestRefused("too_long", "9 tokens")))))
    assert (trace.stop_reason, trace.refusal, trace.final_answer) == ("refused", "too_long: 9 tokens", None)
    with pytest.raises(EngineUnavailable):
        run("revise", Models(model(lambda *_: EngineUnavailable("down"))))


def test_bounds_in_tokens_hold() -> None:
    granted: list[int] = []

    async def counting(messages: Sequence[Message], sampling: Sampling) -> AsyncIterator[str | Completion]:
        granted.append(sampling.max_tokens)
        used = min(60, sampling.max_tokens)
        yield WRONG
        yield Completion(WRONG, "stop" if used == 60 else "length", "m", 1, used)

    trace = adds_up(run(Policy(policy="revise", max_tokens=70), Models(counting)))
    assert granted == [70, 10] and trace.completion_tokens == 70
    assert (trace.stop_reason, trace.text) == ("max_tokens", WRONG)


def test_a_time_limit_ends_with_the_best_answer_so_far_and_ends_the_request() -> None:
    closed: list[bool] = []

    async def stuck(messages: Sequence[Message], sampling: Sampling) -> AsyncIterator[str | Completion]:
        try:
            yield "Incorrect Step: "
            await asyncio.sleep(60)
        finally:
            closed.append(True)

    events = run(Policy(policy="revise", timeout_s=0.2), Models(solver(WRONG), reviser=stuck))
    trace = adds_up(events)
    assert (trace.stop_reason, trace.text, closed) == ("timeout", WRONG, [True])


def test_a_client_that_leaves_ends_the_request_at_once() -> None:
    closed: list[bool] = []

    async def endless(messages: Sequence[Message], sampling: Sampling) -> AsyncIterator[str | Completion]:
        try:
            while True:
                await asyncio.sleep(0)
                yield "a "
        finally:
            closed.append(True)

    async def leave() -> list[bool]:
        events = correct_itself(Policy.model_validate("off"), from_question(QUESTION), SAMPLING, Models(endless))
        for _ in range(3):
            await anext(events)
        await events.aclose()  # type: ignore[attr-defined]
        return list(closed)

    assert asyncio.run(leave()) == [True]


def test_a_step_of_a_cut_off_draft_is_not_revised() -> None:
    async def cut(messages: Sequence[Message], sampling: Sampling) -> AsyncIterator[str | Completion]:
        yield WRONG[:20]
        yield Completion(WRONG[:20], "length", "m", 1, 200)

    trace = adds_up(run("revise", Models(cut)))
    assert (trace.stop_reason, trace.requests, trace.finish_reason) == ("max_tokens", 1, "length")
    assert replace(trace, seconds=0.0).text == WRONG[:20]
