"""Replies in every shape end as an analysis or as a drop with its reason and cost; the prompt holds what it should."""

import json

import pytest

from lema_ray.config import AnalysisConfig
from lema_ray.engines import RequestRefused
from lema_ray.mistakes.analysis import Analyzer, analyze_question
from lema_ray.records import (
    Analysis,
    Attempt,
    Completion,
    Dropped,
    Grade,
    GradedAttempt,
    GradedQuestion,
    Message,
    Question,
    Sampling,
)

QUESTION = Question("q", "Ann has 3 bags of 4 apples and eats 2. How many are left?", "10", "t", solution="3*4-2=10")
TEXT = "Ann has 3 * 4 = 12 apples.\nAfter eating 2 there are 12 - 2 = 9 left.\nThe answer is 9."
STEPS = TEXT.splitlines(keepends=True)
REPLY = "Explanation: 12 - 2 is 10.\nIncorrect Step: 2\nError Type: calculation\nConfidence: 80"


class Says:
    def __init__(self, reply: str | Exception, finish: str = "stop") -> None:
        self.reply, self.finish, self.asked = reply, finish, list[tuple[tuple[Message, ...], Sampling]]()

    async def __call__(self, messages: tuple[Message, ...], sampling: Sampling) -> Completion:
        self.asked.append((messages, sampling))
        if isinstance(self.reply, Exception):
            raise self.reply
        return Completion(self.reply, self.finish, "corrector", 100, 20, cost=0.5)


def as_json(step: object, kind: str = "calculation", confidence: object = 0.8) -> str:
    return json.dumps(
        {"explanation": "12 - 2 is 10.", "incorrect_step": step, "error_type": kind, "confidence": confidence}
    )


@pytest.mark.parametrize(
    "reply",
    [REPLY, as_json(2), f"```json\n{as_json('Step 2')}\n```",
     REPLY.replace("Incorrect Step: 2", "**Incorrect Step:** Step 2."),
     "Let me see.\n" + REPLY.replace("calculation", "`calculation_error`").replace("80", "80%")],
)  # fmt: skip
async def test_a_good_reply_in_any_shape(reply: str) -> None:
    made = await Analyzer().analyze(QUESTION, "a", STEPS, Says(reply))
    assert isinstance(made, Analysis)
    assert (made.attempt_id, made.wrong_step, made.error_type, made.confidence) == ("a", 1, "CA", 0.8)
    assert (made.explanation, made.requests, made.cost) == ("12 - 2 is 10.", 1, 0.5)


@pytest.mark.parametrize(
    ("reason", "reply"),
    [
        ("called_right", REPLY.replace("Step: 2", "Step: none")),
        ("called_right", "I find no mistake: every step of this solution follows."),
        ("called_right", as_json(None, "other")),
        ("called_right", "The solution is completely correct."),
        ("bad_step", REPLY.replace("Step: 2", "Step: 9")),
        ("bad_step", as_json(0)),
        ("unreadable_reply", "I would rather talk about the weather."),
        ("unreadable_reply", REPLY.replace("Step: 2", "Step: the second")),
    ],
)
async def test_a_bad_reply_is_a_drop_with_its_reason_and_cost(reason: str, reply: str) -> None:
    made = await Analyzer().analyze(QUESTION, "a", STEPS, Says(reply))
    assert isinstance(made, Dropped)
    assert (made.stage, made.id, made.reason, made.cost, made.detail) == ("analysis", "a", reason, 0.5, reply)


async def test_cut_off_and_refused_requests_are_drops() -> None:
    cut = await Analyzer().analyze(QUESTION, "a", STEPS, Says(REPLY, "length"))
    refused = await Analyzer().analyze(QUESTION, "a", STEPS, Says(RequestRefused("content_filter", "no")))
    assert isinstance(cut, Dropped) and cut.reason == "cut_off"
    assert isinstance(refused, Dropped) and (refused.reason, refused.requests) == ("content_filter", 1)


async def test_an_unknown_type_is_other_and_keeps_its_label() -> None:
    made = await Analyzer().analyze(QUESTION, "a", STEPS, Says(REPLY.replace("calculation", "haste")))
    assert isinstance(made, Analysis) and (made.error_type, made.label) == ("other", "haste")
    odd = await Analyzer().analyze(QUESTION, "a", STEPS, Says(REPLY.replace("80", "very")))
    assert isinstance(odd, Analysis) and odd.confidence is None


async def test_the_prompt_shows_types_examples_and_the_solution_unless_told_not_to() -> None:
    says = Says(REPLY)
    await Analyzer().analyze(QUESTION, "a", STEPS, says)
    await Analyzer(AnalysisConfig(show_solution=False)).analyze(QUESTION, "a", STEPS, says)
    (with_solution, sampling), (without, _) = [(m[0].content, s) for m, s in says.asked]
    assert with_solution.count("\nIncorrect Step: ") == 4 and "- missing step: " in with_solution
    assert with_solution.endswith(
        "Original Solution:\nStep 1: " + "".join(STEPS).replace("\n", "\nStep {}: ").format(2, 3)
    )
    assert "3*4-2=10" in with_solution and "3*4-2=10" not in without
    assert "calculation" in json.loads(sampling.json_schema or "")["properties"]["error_type"]["enum"]


async def test_every_mistake_of_a_question_is_analysed_once() -> None:
    wrong = Grade("wrong", "9")
    attempts = (
        GradedAttempt(Attempt("a", TEXT, "m"), wrong),
        GradedAttempt(Attempt("b", TEXT, "m", origin="injected"), wrong),
        GradedAttempt(Attempt("c", TEXT, "m"), Grade("right", "10")),
        GradedAttempt(Attempt("d", " ", "m"), wrong),
    )
    says = Says(REPLY)
    once = await analyze_question(GradedQuestion(QUESTION, attempts), says, analyzer=Analyzer())
    again = await analyze_question(once, says, analyzer=Analyzer())
    assert [a.attempt_id for a in once.analyses] == ["a"] and again == once and len(says.asked) == 1
    failed = await analyze_question(GradedQuestion(QUESTION, attempts), Says("?"), analyzer=Analyzer())
    assert [d.reason for d in failed.drops] == ["unreadable_reply"]
    assert await analyze_question(failed, says, analyzer=Analyzer()) == failed
