"""The corrector as judge of unsure grades: who is asked, what replies come to, and that each is paid once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from lema_ray import arrow
from lema_ray.audit import audit_lines, audit_rows
from lema_ray.config import JudgeConfig, OpenAISpec, RecipeConfig, parse_config
from lema_ray.corrections import correct_question
from lema_ray.engines import Engine, RequestRefused
from lema_ray.engines.replay import PaidEngine
from lema_ray.grading import GradingPool
from lema_ray.judge import judge_prompt, judge_question, read_judgement
from lema_ray.on_ray.progress import Counted
from lema_ray.planning.estimate import estimate
from lema_ray.recipes import open_recipe
from lema_ray.records import (
    Attempt,
    Completion,
    FinishReason,
    Grade,
    GradedAttempt,
    GradedQuestion,
    Message,
    Question,
    Sampling,
    Verdict,
)
from lema_ray.report.funnel import Funnel
from lema_ray.runs import RunFolder
from lema_ray.spending.paid import PaidLog, read_paid
from lema_ray.spending.paid_index import read_index

QUESTION = Question("q1", "A book costs 60 cents and a pen 4 cents. What do both cost, in dollars?", "0.64", "test")
UNSURE = "Together they are 60 + 4 = 64 cents.\nThe answer is 64 cents"
RULES = ("answer_is", "unclear")


class Says:
    """A corrector that gives one reply, or raises it, and remembers what it was asked."""

    model, context_length, can_continue = "says", None, False

    def __init__(self, reply: str | Exception, finish: FinishReason = "stop") -> None:
        self.reply, self.finish = reply, finish
        self.asked: list[tuple[Sequence[Message], Sampling]] = []

    async def start(self) -> None: ...

    async def close(self) -> None: ...

    async def __call__(self, messages: Sequence[Message], sampling: Sampling) -> Completion:
        self.asked.append((messages, sampling))
        if isinstance(self.reply, Exception):
            raise self.reply
        return Completion(self.reply, self.finish, "says", 100, 20, cost=0.5)


def one(
    name: str, verdict: Verdict, text: str = UNSURE, finish: FinishReason = "stop", rules: tuple[str, ...] = RULES
) -> GradedAttempt:
    return GradedAttempt(Attempt(name, text, "student", finish_reason=finish), Grade(verdict, "64", rules, "units"))


ROW = GradedQuestion(
    QUESTION,
    (
        one("right", "right"),
        one("wrong", "wrong"),
        one("open", "unsure"),
        one("same text", "unsure"),
        one("cut", "unsure", finish="length"),
        one("empty", "unsure", " \n"),
        one("ungraded", "unsure", "x", rules=("ungraded",)),
    ),
)


def reply(verdict: str) -> str:
    return json.dumps({"reason": "64 cents are 0.64 dollars.", "verdict": verdict})


@pytest.mark.parametrize("verdict", ["right", "wrong", "unsure"])
async def test_only_unsure_grades_are_judged_each_text_once(verdict: str) -> None:
    says = Says(reply(verdict))
    judged = await judge_question(ROW, says, JudgeConfig())
    grades = {g.attempt.id: g.grade for g in judged.attempts}
    assert len(says.asked) == 1 and says.asked[0][1].temperature == 0
    assert (
        grades["open"] == Grade(verdict, "64", (*RULES, "judge"), "64 cents are 0.64 dollars.") == grades["same text"]
    )
    untouched = {g.attempt.id: g.grade for g in ROW.attempts} | {k: grades[k] for k in ("open", "same text")}
    assert grades == untouched
    (made,) = judged.judgements
    assert (made.attempt_id, made.verdict, made.requests, made.cost) == ("open", verdict, 1, 0.5)
    assert await judge_question(judged, says, JudgeConfig()) == judged and len(says.asked) == 1, "never judged again"
    assert arrow.from_table(GradedQuestion, arrow.to_table([judged], GradedQuestion)) == [judged]


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        (reply("right"), "right"),
        (f"```json\n{reply('wrong')}\n```", "wrong"),
        ("Reason: they differ.\nVerdict: **Wrong**.", "wrong"),
        ("**Reason:** the same.\n**Verdict:** correct", "right"),
        ("Let me see.\nReason: no answer is given.\nVerdict: UNSURE", "unsure"),
        ("Verdict: incorrect", "wrong"),
        ("Verdict: not wrong", None),
        ("Verdict: it isn't right", None),
        ("Verdict: right, wrong or unsure", None),
        ("Verdict:", None),
        ("The solution is wrong.", None),
        ('{"reason": "x", "verdict": null}', None),
        ('{"reason": "x", "verdict": ["right", "wrong"]}', None),
        ("", None),
        ("\x00\ud800" * 50, None),
    ],
)
async def test_what_cannot_be_read_stays_unsure_and_keeps_its_cost(text: str, verdict: str | None) -> None:
    read = read_judgement(Completion(text, "stop", "m", 100, 20))
    assert (read if isinstance(read, str) else read.verdict) == (verdict or "unreadable_reply")
    judged = await judge_question(ROW, Says(text), JudgeConfig())
    assert judged.attempts[2].grade.verdict == (verdict or "unsure")
    if verdict is None:
        assert judged.attempts == ROW.attempts and not judged.judgements
        (drop,) = judged.drops
        assert (drop.stage, drop.id, drop.reason, drop.requests, drop.cost) == ("judge", "open", read, 1, 0.5)


async def test_refusals_and_cut_off_replies_are_drops() -> None:
    refused = await judge_question(ROW, Says(RequestRefused("too_long", "8192")), JudgeConfig())
    assert [(d.stage, d.reason) for d in refused.drops] == [("judge", "too_long")]
    cut = await judge_question(ROW, Says(reply("right"), finish="length"), JudgeConfig())
    assert [(d.reason, d.cost) for d in cut.drops] == [("cut_off", 0.5)]
    assert refused.attempts == cut.attempts == ROW.attempts


def test_a_long_attempt_is_shown_from_its_end() -> None:
    (message,) = judge_prompt(QUESTION, "word " * 1_000_000 + UNSURE)
    assert message.content.endswith(UNSURE) and len(message.content) < 8_000 and "0.64" in message.content


async def test_what_is_judged_wrong_is_corrected_and_all_of_it_is_in_the_ledger() -> None:
    says = Says(reply("wrong"))
    lema = open_recipe(RecipeConfig())
    off = await correct_question(ROW, Says(reply("wrong")), recipes=[lema])
    row = await correct_question(ROW, says, recipes=[lema], judge=JudgeConfig())
    assert {d.id for d in off.drops} == {"wrong"} and off.judgements == ()
    assert [d.stage for d in row.drops] == ["corrections"], "one text, judged and corrected once"
    counted, funnel = Counted.of(row), Funnel()
    funnel.add(row)
    assert counted.requests == len(ROW.attempts) + len(says.asked) == len(ROW.attempts) + 2
    assert counted.cost == funnel.cost == 1.0 and counted.completion_tokens == 40


async def test_votes_that_the_judge_settles_can_doubt_the_reference() -> None:
    texts = [f"{i} and so on.\nThe answer is 25." for i in range(3)]
    attempts = tuple(one(t, v, t) for t, v in zip(texts, ("wrong", "wrong", "unsure"), strict=True))
    row = GradedQuestion(QUESTION, attempts)
    says = Says(reply("wrong"))
    doubted = await correct_question(row, says, recipes=[open_recipe(RecipeConfig())], judge=JudgeConfig())
    assert [d.reason for d in doubted.drops] == ["doubtful_reference"] and len(says.asked) == 1
    other = GradedAttempt(Attempt("open", UNSURE, "student"), Grade("unsure", "7", RULES))
    before = GradedQuestion(QUESTION, (*(one(t, "wrong", t) for t in texts), other))
    assert (await correct_question(before, says, recipes=[], judge=JudgeConfig())).drops
    assert len(says.asked) == 1, "a reference that is doubted already is nothing to judge by"


async def test_a_judgement_is_paid_for_once_however_often_the_row_is_done(tmp_path: Path) -> None:
    run, says = RunFolder(str(tmp_path)), Says(reply("right"))

    def engine(writer: str, inner: Engine) -> PaidEngine:
        return PaidEngine(inner, PaidLog(run, writer), read_index(run), "corrections")

    first = await judge_question(ROW, engine("a", says).for_row("q1"), JudgeConfig())
    again = await judge_question(ROW, engine("b", Says(RuntimeError("asked twice"))).for_row("q1"), JudgeConfig())
    assert first == again and len(says.asked) == 1 and len(list(read_paid(run))) == 1


def test_what_the_grader_is_unsure_of_is_judged_and_the_audit_says_so() -> None:
    with GradingPool() as pool:
        grades = pool.grade_all([(UNSURE, QUESTION)])
    row = GradedQuestion(QUESTION, (GradedAttempt(Attempt("a", UNSURE, "m"), grades[0]),))
    assert grades[0].verdict == "unsure"
    judged = asyncio.run(judge_question(row, Says(reply("right")), JudgeConfig()))
    assert "unsure before the judge: 1 now right" in list(audit_lines(audit_rows([judged])))


def test_the_judge_is_off_by_default_and_in_the_estimate_when_it_is_on() -> None:
    engine = OpenAISpec(model="m", base_url="http://127.0.0.1:9/v1").model_dump()
    data = {
        "name": "e",
        "questions": {"train": {"source": "word_problems", "count": 20}},
        "students": [{"engine": {"type": "scripted"}, "samples": 3}],
        "corrector": {"engine": engine},
    }
    assert parse_config(data).grading.judge is None
    assert "judge" not in {a.stage for a in estimate(parse_config(data))[1]}
    _, asked = estimate(parse_config(data | {"grading": {"judge": {"max_tokens": 64}}}))
    (judge,) = (a for a in asked if a.stage == "judge")
    assert (
        judge.calls == (0, 60) and judge.sampling.max_tokens == 64 and "Reference Answer" in judge.prompts[0][0].content
    )
