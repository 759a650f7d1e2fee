"""Policies on scripted models: each story happens as it should, and any reply at all ends in a trace that adds up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import pytest
from stories import (
    CORRECTION,
    CRITIQUE,
    DOUBTING,
    QUESTION,
    RIGHT,
    SAMPLING,
    WRONG,
    adds_up,
    model,
    run,
    solver,
    trace_of,
)

from lema_ray.attempts import solve_prompt
from lema_ray.config import Policy
from lema_ray.engines import EngineUnavailable, Generate, RequestRefused
from lema_ray.recipes.lema import LEARN
from lema_ray.records import Completion, Message, Sampling
from lema_ray.self_correction.events import Piece, content
from lema_ray.self_correction.models import Models
from lema_ray.self_correction.policies import correct_itself
from lema_ray.self_correction.problem import from_messages, from_question


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
        await events.aclose()
        return list(closed)

    assert asyncio.run(leave()) == [True]


def critic_and(draft: str, critique: str, revised: str = RIGHT) -> Models:
    """A solver that writes `revised` once it is shown a critique, and an adviser with that critique."""
    return Models(
        model(lambda asked, _: revised if asked.startswith("Somebody") else draft), adviser=model(lambda *_: critique)
    )


def test_critique_names_the_step_and_the_solver_writes_again() -> None:
    trace = adds_up(run("critique", critic_and(WRONG, CRITIQUE)))
    assert (trace.final_answer, trace.revisions, trace.stop_reason) == ("15", 1, "max_revisions")
    (doubt,) = trace.doubts
    assert (doubt.step, doubt.by, doubt.reason) == (1, "critic", "10 + 5 is 15.") and trace.requests == 3


@pytest.mark.parametrize(
    ("critique", "reason"),
    [
        ("Step 1: right\nFinal answer: right", "no_doubt"),
        ("Step 1: wrong - no.\nFinal answer: right", "unreadable_reply"),
        ("I like it.", "unreadable_reply"),
    ],
)
def test_a_critic_that_is_content_or_contradicts_itself_changes_nothing(critique: str, reason: str) -> None:
    trace = adds_up(run("critique", critic_and(WRONG, critique)))
    assert (trace.stop_reason, trace.text, trace.revisions) == (reason, WRONG, 0)


def test_the_gates_of_critique() -> None:
    async def by_reference(solution: str) -> bool:
        return solution.endswith("15.")

    content_critic = "Step 1: right\nFinal answer: right"
    always = run(Policy(policy="critique", gate="always"), critic_and(WRONG, content_critic))
    assert adds_up(always).final_answer == "15"
    for draft, requests in ((WRONG, 3), (RIGHT, 1)):
        models = replace(critic_and(draft, content_critic), oracle=by_reference)
        assert adds_up(run("critique", models)).requests == requests, "the oracle spares right drafts the critic"


def test_rounds_of_critique_end_when_the_critic_is_content() -> None:
    says = iter([CRITIQUE, "Step 1: right\nFinal answer: right"])
    models = replace(critic_and(WRONG, ""), adviser=model(lambda *_: next(says)))
    trace = adds_up(run(Policy(policy="critique", max_revisions=4), models))
    assert (trace.revisions, trace.stop_reason) == (1, "no_doubt")


@pytest.mark.parametrize(
    ("says", "threshold", "answer", "reason"),
    [
        ("Hmm. Wrong: 83", 0.5, "15", "max_revisions"),
        ("Wrong: 83%", 0.9, "14", "below_threshold"),
        ("**Wrong:** 0.83", 0.8, "15", "max_revisions"),
        ("no idea", 0.5, "14", "unreadable_reply"),
    ],
)
def test_verify_revises_from_the_threshold_on(says: str, threshold: float, answer: str, reason: str) -> None:
    models = replace(Models(solver(WRONG)), adviser=model(lambda *_: says))
    trace = adds_up(run(Policy(policy="verify", threshold=threshold), models))
    assert (trace.final_answer, trace.stop_reason) == (answer, reason)
    assert trace.probability_wrong == (None if reason == "unreadable_reply" else 0.83)


def test_a_verifier_of_ones_own_is_asked() -> None:
    class Longer:
        async def __call__(self, question: str, solution: str, ask: Generate) -> float:
            return 1.0 if "14" in solution and "Ann" in question else 0.0

    trace = adds_up(run(Policy(policy="verify", max_revisions=3), replace(Models(solver(WRONG)), verifier=Longer())))
    assert (trace.final_answer, trace.revisions, trace.stop_reason) == ("15", 1, "below_threshold")
    assert trace.probability_wrong == 0.0 and [d.by for d in trace.doubts] == ["verifier", "model"]


def voting(*drafts: str) -> Models:
    return Models(model(lambda asked, k: CORRECTION if asked.endswith(LEARN) else drafts[k]))


def test_a_majority_needs_no_revision() -> None:
    trace = adds_up(run(Policy(policy="vote", samples=3), voting(WRONG, RIGHT, "It is 15.0.\nThe answer is 15.0")))
    assert (trace.first_answer, trace.final_answer, trace.stop_reason) == ("14", "15", "agreed")
    assert trace.revisions == 0 and trace.doubts[0].reason == "Of 3 solutions 2 for 15.0, 1 for 14."


def test_without_a_majority_a_revision_is_one_more_vote() -> None:
    trace = adds_up(run(Policy(policy="vote", samples=2), voting(WRONG, RIGHT)))
    assert (trace.final_answer, trace.stop_reason, trace.revisions) == ("15", "agreed", 1)
    trace = adds_up(run(Policy(policy="vote", samples=2, max_revisions=0), voting(WRONG, RIGHT)))
    assert (trace.final_answer, trace.stop_reason) == ("14", "max_revisions")


def test_votes_are_drawn_at_once_and_differ() -> None:
    asked: list[Sampling] = []
    gate = asyncio.Event()

    async def waiting(messages: Sequence[Message], sampling: Sampling) -> AsyncIterator[str | Completion]:
        asked.append(sampling)
        if len(asked) == 4:
            gate.set()
        await gate.wait()
        yield RIGHT
        yield Completion(RIGHT, "stop", "m", 1, 1)

    adds_up(run(Policy(policy="vote", samples=4), Models(waiting), replace(SAMPLING, seed=7)))
    assert {s.seed for s in asked} == {7, 8, 9, 10} and [s.temperature for s in asked] == [0.0, 0.7, 0.7, 0.7]


def test_a_step_of_a_cut_off_draft_is_not_revised() -> None:
    async def cut(messages: Sequence[Message], sampling: Sampling) -> AsyncIterator[str | Completion]:
        yield WRONG[:20]
        yield Completion(WRONG[:20], "length", "m", 1, 200)

    trace = adds_up(run("revise", Models(cut)))
    assert (trace.stop_reason, trace.requests, trace.finish_reason) == ("max_tokens", 1, "length")
    assert replace(trace, seconds=0.0).text == WRONG[:20]
