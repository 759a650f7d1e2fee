"""Held-out questions under a policy: rows that evaluation reads like any others, with the trace of each answer."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from stories import CORRECTION, QUESTION, RIGHT, WRONG

from lema_ray import arrow
from lema_ray.config import EvaluateConfig, EvaluatedPolicy, EvaluationSampling
from lema_ray.engines import RequestRefused
from lema_ray.evaluation.earlier_answers import Asked
from lema_ray.evaluation.scores import POLICIES, compare_policies, score
from lema_ray.evaluation.tally import tally
from lema_ray.grading import grade
from lema_ray.recipes.lema import LEARN
from lema_ray.records import Completion, GradedAttempt, GradedQuestion, Message, Sampling
from lema_ray.self_correction.held_out import answer_question


class Student:
    """Solves wrongly, and corrects itself when asked; counts its requests."""

    def __init__(self, draft: str = WRONG) -> None:
        self.draft, self.asked = draft, list[tuple[str, Sampling]]()

    async def __call__(self, messages: Sequence[Message], sampling: Sampling) -> Completion:
        self.asked.append((messages[-1].content, sampling))
        text = CORRECTION if messages[-1].content.endswith(LEARN) else self.draft
        return Completion(text, "stop", "m", 10, 5, 0.5)


def sampling(policy: object, **more: object) -> EvaluationSampling:
    return EvaluationSampling.model_validate({"policy": policy} | more)


async def answered(policy: object, student: Student, **more: object) -> GradedQuestion:
    row = await answer_question(GradedQuestion(QUESTION), student, model="m", sampling=sampling(policy, **more))
    graded = (GradedAttempt(g.attempt, grade(g.attempt.text, "15")) for g in row.attempts)
    return GradedQuestion(QUESTION, tuple(graded), drops=row.drops)


async def test_an_answer_has_the_final_text_all_tokens_and_its_trace() -> None:
    row = await answered("revise", Student())
    (one,) = row.attempts
    assert (one.attempt.text, one.grade.verdict) == (RIGHT, "right")
    assert (one.attempt.prompt_tokens, one.attempt.completion_tokens, one.attempt.cost) == (20, 10, 1.0)
    assert one.attempt.trace is not None and one.attempt.trace.first_answer == "14"
    (back,) = arrow.from_table(GradedQuestion, arrow.to_table([row], GradedQuestion))
    assert back.attempts == row.attempts


async def test_scores_say_what_the_policy_mended_and_what_it_cost() -> None:
    mended, plain = await answered("revise", Student()), await answered("off", Student())
    found = score("m", "revise", [mended])
    assert found.policy == "revise" and found.tokens_per_answer == 30
    said = found.self_correction
    assert (said["first_accuracy"], said["final_accuracy"], said["wrong_to_right"]) == (0.0, 1.0, 1.0)
    assert (said["requests"], said["extra_tokens"]) == (2.0, 15.0)
    assert plain.attempts[0].attempt.trace is None, "without a policy the trace is in the text"
    assert score("m", "greedy", [plain]).self_correction["requests"] == 1.0
    (compared,) = compare_policies({("m", "greedy"): tally([plain]), ("m", "revise"): tally([mended])})
    assert (compared.baseline, compared.model, compared.sampling) == ("m greedy", "m revise", POLICIES)
    assert (compared.wins, compared.losses) == (1, 0)


async def test_the_oracle_revises_wrong_answers_only() -> None:
    for policy in ("verify", "critique"):
        student = Student(RIGHT)
        row = await answered({"policy": policy, "oracle": True}, student)
        assert row.attempts[0].attempt.text == RIGHT and len(student.asked) == 1
    row = await answered({"policy": "verify", "oracle": True}, Student(WRONG))
    trace = row.attempts[0].attempt.trace
    assert trace is not None and (trace.final_answer, trace.probability_wrong) == ("15", 1.0)


async def test_a_refused_request_is_a_drop_with_its_reason() -> None:
    class Refusing(Student):
        async def __call__(self, messages: Sequence[Message], sampling: Sampling) -> Completion:
            raise RequestRefused("too_long", "600 tokens")

    row = await answered("vote", Refusing())
    assert not row.attempts
    assert [(d.reason, d.detail, d.requests) for d in row.drops] == [("too_long", "600 tokens", 5)]


async def test_samples_have_seeds_of_their_own() -> None:
    student = Student()
    await answered({"policy": "vote", "samples": 2}, student, temperature=0.7, samples=2)
    assert len({s.seed for _, s in student.asked}) == 4


def test_a_policy_is_part_of_what_was_asked_and_off_changes_no_key() -> None:
    keys = {
        Asked("w", "m", sampling(policy), 0, 0).key(QUESTION)
        for policy in ("off", "revise", "vote", {"policy": "vote", "samples": 3}, {"policy": "verify", "oracle": True})
    }
    assert len(keys) == 5
    assert Asked("w", "m", EvaluationSampling(), 0, 0).key(QUESTION) in keys


def test_a_way_of_asking_is_named_by_its_policy() -> None:
    assert [sampling(p).name for p in ("off", "revise", {"policy": "vote"}, EvaluatedPolicy(policy="verify"))] == [
        "greedy",
        "revise",
        "vote",
        "verify",
    ]
    with pytest.raises(ValueError, match="name of its own, twice: vote"):
        EvaluateConfig.model_validate({"sampling": [{"policy": "vote"}, {"policy": {"policy": "vote", "samples": 3}}]})
    with pytest.raises(ValueError, match="policy"):
        sampling("think_hard")
