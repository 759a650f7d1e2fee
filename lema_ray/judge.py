"""A second opinion on attempts that the grader is unsure of, by the corrector. Off unless `grading.judge` is set.

Called by `corrections` for every row, before the recipes. The judge sees the reference, so it compares two answers and
solves nothing. Whatever cannot be read from its reply leaves the grade `unsure`: a mistake is never invented.
"""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import replace

from lema_ray.attempts import question_text
from lema_ray.config import JudgeConfig
from lema_ray.engines import Generate, RequestRefused
from lema_ray.records import (
    UNGRADED,
    Completion,
    Dropped,
    Grade,
    GradedAttempt,
    GradedQuestion,
    Judgement,
    Message,
    Question,
    Sampling,
    Verdict,
    content_id,
)
from lema_ray.replies import read_fields

STAGE = "judge"
RULE = "judge"
SHOWN = 6_000
"""Characters of an attempt that the judge sees, from its end: the final answer is there."""
JUDGE = """\
An automatic checker could not tell whether the final answer of the solution below is the reference answer. Compare \
the two. Do not solve the question, and do not judge how the solution got there. If the solution corrects itself, what \
it settles on last is its answer. Answers that mean the same are the same, however they are written.
Verdict: right when they are the same, wrong when they are surely different, unsure when the solution has no clear \
final answer or you cannot tell.
Reply with the fields Reason, one or two sentences, and Verdict, one word (in JSON: reason; verdict)."""
LABELS = {"reason": "Reason", "verdict": "Verdict"}
_VERDICTS: dict[str, Verdict] = {
    "right": "right",
    "correct": "right",
    "wrong": "wrong",
    "incorrect": "wrong",
    "unsure": "unsure",
}
SCHEMA = json.dumps(
    {
        "type": "object",
        "properties": {"reason": {"type": "string"}, "verdict": {"enum": ["right", "wrong", "unsure"]}},
        "required": ["reason", "verdict"],
        "additionalProperties": False,
    }
)


def judge_prompt(question: Question, solution: str) -> tuple[Message, ...]:
    """The request: the task, the question, its reference answer, and the end of the solution."""
    shown = solution.strip()[-SHOWN:]
    target = f"Question:\n{question_text(question)}\n\nReference Answer:\n{question.reference}\n\nSolution:\n{shown}"
    return (Message("user", f"{JUDGE}\n\n---\n\n{target}"),)


async def judge_question(graded: GradedQuestion, corrector: Generate, config: JudgeConfig) -> GradedQuestion:
    """The question with every unsure grade judged once; the same text is asked about once.

    Judgements keep the cost of replies that could be read, drops of stage `judge` that of all others.
    """
    texts: dict[str, GradedAttempt] = {}
    for one in filter(_is_open, graded.attempts):
        texts.setdefault(one.attempt.text, one)
    found = await asyncio.gather(*(_judge(graded.question, one, corrector, config) for one in texts.values()))
    said = {text: f for text, f in zip(texts, found, strict=True) if isinstance(f, Judgement)}
    return replace(
        graded,
        attempts=tuple(_judged(one, said.get(one.attempt.text)) if _is_open(one) else one for one in graded.attempts),
        judgements=graded.judgements + tuple(said.values()),
        drops=graded.drops + tuple(f for f in found if isinstance(f, Dropped)),
    )


def _is_open(one: GradedAttempt) -> bool:
    """An unsure grade that a judge may settle. A cut-off answer never finished, and is no mistake whatever it says."""
    attempt, grade = one.attempt, one.grade
    if grade.verdict != "unsure" or grade.rules == UNGRADED.rules or RULE in grade.rules:
        return False
    return attempt.finish_reason != "length" and bool(attempt.text.strip())


async def _judge(
    question: Question, one: GradedAttempt, corrector: Generate, config: JudgeConfig
) -> Judgement | Dropped:
    attempt = one.attempt
    try:
        reply = await corrector(judge_prompt(question, attempt.text), _sampling(attempt.id, config))
    except RequestRefused as refusal:
        return refusal.dropped(STAGE, attempt.id)
    read = read_judgement(reply)
    return Dropped.of(STAGE, attempt.id, read, reply) if isinstance(read, str) else replace(read, attempt_id=attempt.id)


def _sampling(attempt_id: str, config: JudgeConfig) -> Sampling:
    seed = int(content_id(STAGE, attempt_id), 16) % 2**31
    return replace(config.with_seed(seed), json_schema=SCHEMA)


def read_judgement(reply: Completion) -> Judgement | str:
    """The judgement of a reply, its attempt still to be filled in, or the reason code why there is none."""
    if reply.finish_reason == "length":
        return "cut_off"
    fields = read_fields(reply.text, LABELS)
    words = {word for word in re.findall(r"[a-z]+", fields.get("verdict", "").casefold()) if word in _VERDICTS}
    # "not wrong", or the whole choice said back, is no verdict.
    if len(words) != 1 or re.search(r"(?i)\bnot\b|n't\b", fields["verdict"]):
        return "unreadable_reply"
    return Judgement(
        "",
        _VERDICTS[words.pop()],
        reason=fields.get("reason", ""),
        model=reply.model,
        prompt_tokens=reply.prompt_tokens,
        completion_tokens=reply.completion_tokens,
        cost=reply.cost,
    )


def _judged(one: GradedAttempt, judgement: Judgement | None) -> GradedAttempt:
    """The attempt with the judge's verdict; the answer and the rules that left it open stay."""
    if judgement is None:
        return one
    grade = Grade(judgement.verdict, one.grade.answer, (*one.grade.rules, RULE), judgement.reason or one.grade.reason)
    return replace(one, grade=grade)
