"""Follow-up questions and wrong answers to be put right: what is read of files, and how a model is asked."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from lema_ray import arrow
from lema_ray.attempts import INSTRUCTIONS, solve_prompt
from lema_ray.config import EvaluationSampling, QuestionsConfig, SourceConfig
from lema_ray.demo.grammar import read_story
from lema_ray.demo.two_turns import conversations
from lema_ray.engines import RequestRefused
from lema_ray.questions import QuestionError, prepare_questions
from lema_ray.questions.conversations import AGAIN
from lema_ray.questions.read import read_questions
from lema_ray.records import Completion, Dropped, GradedQuestion, Message, Question, Sampling
from lema_ray.runs import RunFolder
from lema_ray.self_correction.held_out import answer_question

SHOP = {
    "Q1": "Ada buys 3 pens at 2 dollars each. What does she pay?",
    "A1": "3 * 2 = 6\n#### 6",
    "Q2": "She pays with a ten. How much does she get back?",
    "A2": "4",
    "Q3": "How many more pens could she buy with that?",
    "A3": "2",
}
MILK = {
    "question": "A jug holds 2 litres. How much do 4 jugs hold?",
    "attempt": "2 + 4 = 6\nThe answer is 6.",
    "answer": "8",
}


def questions(folder: Path, source: str, *rows: dict[str, Any], **more: Any) -> list[Question | Dropped]:
    (folder / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    config = SourceConfig(source=source, path=str(folder / "rows.jsonl"), **more)
    return [found for _, found in read_questions(config)]


class Model:
    """Answers with how many questions it has heard so far; refuses where it is told to."""

    def __init__(self, refuses: int = 0) -> None:
        self.asked, self.refuses = list[tuple[Message, ...]](), refuses

    async def __call__(self, messages: Sequence[Message], sampling: Sampling) -> Completion:
        self.asked.append(tuple(messages))
        if len(self.asked) == self.refuses:
            raise RequestRefused("content_filter", "no")
        return Completion(f"answer {sum(m.role == 'user' for m in messages)}", "stop", "m", 10, 5)


def test_every_round_of_a_follow_up_is_a_question_of_its_own(tmp_path: Path) -> None:
    first, second, third = questions(tmp_path, "follow_ups", SHOP)
    assert [q.reference for q in (first, second, third)] == ["6", "4", "2"]  # type: ignore[union-attr]
    assert isinstance(first, Question) and isinstance(third, Question)
    assert [first.level, third.level] == ["round 1", "round 3"] and first.earlier == ()
    assert [(turn.asked, turn.answered) for turn in third.earlier] == [(SHOP["Q1"], None), (SHOP["Q2"], None)]
    alone = questions(tmp_path, "files", {"question": SHOP["Q1"], "answer": "6"})[0]
    assert first.id == alone.id and len({first.id, second.id, third.id}) == 3
    assert arrow.from_table(Question, arrow.to_table([third], Question)) == [third]


async def test_a_model_hears_its_own_earlier_answers(tmp_path: Path) -> None:
    *_, third = questions(tmp_path, "follow_ups", SHOP)
    model, sampling = Model(), EvaluationSampling(temperature=0.0)
    row = await answer_question(GradedQuestion(third), model, model="m", sampling=sampling)
    assert [len(messages) for messages in model.asked] == [1, 3, 5]
    said = [m.content for m in model.asked[-1]]
    assert said[1] == "answer 1" and said[3] == "answer 2" and said[4].startswith(SHOP["Q3"])
    assert all(m.content.endswith(INSTRUCTIONS["arithmetic"]) for m in model.asked[-1] if m.role == "user")
    assert [one.attempt.text for one in row.attempts] == ["answer 3"]
    assert row.attempts[0].attempt.prompt_tokens == 10 and row.question.earlier[1].answered == "answer 2"
    revised = EvaluationSampling.model_validate({"policy": "spontaneous"})
    row = await answer_question(GradedQuestion(third), Model(), model="m", sampling=revised)
    assert row.attempts[0].attempt.text == "answer 3" and row.attempts[0].attempt.trace is not None


async def test_a_refused_earlier_turn_is_a_drop(tmp_path: Path) -> None:
    _, second, _ = questions(tmp_path, "follow_ups", SHOP)
    row = await answer_question(GradedQuestion(second), Model(refuses=1), model="m", sampling=EvaluationSampling())
    assert row.attempts == () and [drop.reason for drop in row.drops] == ["content_filter"]


def test_a_wrong_attempt_is_shown_as_what_the_model_said(tmp_path: Path) -> None:
    (asked,) = questions(tmp_path, "error_correction", MILK)
    assert isinstance(asked, Question) and asked.reference == "8"
    question, attempt, again = solve_prompt(asked)
    assert question.content.startswith(MILK["question"]) and again.content.startswith(AGAIN)
    assert (attempt.role, attempt.content) == ("assistant", MILK["attempt"])
    other = questions(tmp_path, "error_correction", MILK | {"attempt": "5"})[0]
    assert isinstance(other, Question) and other.id != asked.id
    named = {key if key != "attempt" else "said": value for key, value in MILK.items()}
    assert questions(tmp_path, "error_correction", named, fields={"attempt": "said"}) == [asked]


def test_labelled_solutions_are_attempts_too(tmp_path: Path) -> None:
    labelled = {"problem": MILK["question"], "reference": "8", "steps": ["2 + 4 = 6", "The answer is 6."], "label": 0}
    (asked,) = questions(tmp_path, "error_correction", labelled | {"error_type": "operator"})
    assert isinstance(asked, Question) and asked.type == "operator" and asked.earlier[0].answered == MILK["attempt"]


def test_real_mistakes_of_a_local_file(shared_data: Path) -> None:
    path = str(shared_data / "errloc_mrgsm8k_a.jsonl")
    found = [q for _, q in read_questions(SourceConfig(source="error_correction", path=path))]
    asked = [q for q in found if isinstance(q, Question)]
    assert len(asked) == 197 and {q.text for q in asked} == {AGAIN} and len({q.id for q in asked}) == 197
    assert {q.reason for q in found if isinstance(q, Dropped)} == {"attempt_is_right"}


def test_a_story_told_in_two_turns_ends_as_it_does_in_one() -> None:
    for told in conversations(50):
        first = read_story(told["Q1"])
        whole = read_story(told["Q1"].rpartition("How many")[0] + told["Q2"])
        assert first is not None and whole is not None
        assert [str(first.answer), str(whole.answer)] == [told["A1"], told["A2"]]


@pytest.mark.parametrize(
    ("source", "row", "reason"),
    [
        ("follow_ups", {"question": "1 + 1?", "answer": "2"}, "missing_field"),
        ("follow_ups", {"Q1": "1 + 1?", "A1": None}, "no_reference"),
        ("error_correction", {"question": "1 + 1?", "answer": "2"}, "no_attempt"),
        ("error_correction", MILK | {"attempt": "4 * 2 = 8"}, "attempt_is_right"),
        ("error_correction", MILK | {"choices": ["8", "6"], "answer": "A"}, "has_choices"),
    ],
)
def test_rows_that_are_no_conversation_are_drops(tmp_path: Path, source: str, row: dict[str, Any], reason: str) -> None:
    good = SHOP if source == "follow_ups" else MILK
    dropped = [found for found in questions(tmp_path, source, row, good) if isinstance(found, Dropped)]
    assert [drop.reason for drop in dropped] == [reason] and "rows.jsonl:1" in dropped[0].id


def test_conversations_are_for_examination_and_their_questions_are_not_trained_on(tmp_path: Path) -> None:
    with pytest.raises(QuestionError, match="leave fields out"):
        questions(tmp_path, "follow_ups", SHOP, fields={"question": "Q1"})
    questions(tmp_path, "error_correction", MILK)
    test = SourceConfig(source="error_correction", path=str(tmp_path / "rows.jsonl"))
    run = RunFolder(str(tmp_path / "run"))
    with pytest.raises(QuestionError, match=r"questions\.train: error_correction is to examine"):
        prepare_questions(QuestionsConfig(train=test), run)
    train = SourceConfig(source="files", path=str(tmp_path / "rows.jsonl"))
    with pytest.raises(QuestionError, match="1 training questions are in the test set"):
        prepare_questions(QuestionsConfig(train=train, test=test), run)
