"""LeMa: replies in every shape end as a checked correction or as a drop with its reason and its cost."""

import json

import pytest

from lema_ray.config import ConfigError, RecipeConfig
from lema_ray.engines import RequestRefused
from lema_ray.recipes.lema import Lema
from lema_ray.recipes.lema_prompts import correction_prompt
from lema_ray.records import Attempt, Completion, Grade, GradedAttempt, GradedQuestion, Message, Question, Sampling

QUESTION = Question("q1", "Ann has 3 bags of 4 apples and eats 2. How many are left?", "10", "test")
ATTEMPT = "Step 1: Ann has 3 * 4 = 12 apples.\nStep 2: After eating 2 there are 12 - 2 = 9 left.\nThe answer is 9."
TEXT_REPLY = """Incorrect Step: Step 2
Explanation: 12 - 2 is 10, not 9.
Correct Solution:
...
Step 2: After eating 2 there are 12 - 2 = 10 left.
Step 3: The answer is 10."""
GRADED = GradedQuestion(QUESTION, (GradedAttempt(Attempt("a1", ATTEMPT, "student"), Grade("wrong", "9")),))


class Replies:
    """A corrector that gives prepared replies in turn, and remembers what it was asked."""

    def __init__(self, *replies: str | Exception, finish: str = "stop") -> None:
        self.replies, self.finish = list(replies), finish
        self.requests: list[tuple[tuple[Message, ...], Sampling]] = []

    async def __call__(self, messages: tuple[Message, ...], sampling: Sampling) -> Completion:
        self.requests.append((messages, sampling))
        reply = self.replies.pop(0)
        if isinstance(reply, Exception):
            raise reply
        return Completion(reply, self.finish, "corrector", 100, 20, cost=0.5)


JSON_REPLY = json.dumps(
    {
        "incorrect_step": 2,
        "explanation": "12 - 2 is 10, not 9.",
        "correct_solution": "Step 2: After eating 2 there are 12 - 2 = 10 left.\nStep 3: The answer is 10.",
    }
)
SHAPES = {
    "text": TEXT_REPLY,
    "json": JSON_REPLY,
    "json in a fence": f"Here it is:\n```json\n{JSON_REPLY}\n```",
    "bold labels": TEXT_REPLY.replace("Incorrect Step:", "**Incorrect Step:**").replace(
        "Explanation:", "**Explanation**:"
    ),
    "talk before": "Let me look at it.\n\n" + TEXT_REPLY,
    "braces": TEXT_REPLY.replace("Solution:\n", "Solution: {\n") + "\n}",
    "whole solution again": TEXT_REPLY.replace("...\n", "Step 1: Ann has 3 * 4 = 12 apples.\n"),
    "no step labels": TEXT_REPLY.replace("...\n", "").replace("Step 2: After", "After").replace("Step 3: The", "The"),
}


@pytest.mark.parametrize("reply", SHAPES.values(), ids=SHAPES.keys())
async def test_a_good_reply_in_any_shape(reply: str) -> None:
    outcome = await Lema(RecipeConfig()).correct(GRADED, Replies(reply), None)
    assert outcome.drops == ()
    (correction,) = outcome.corrections
    assert correction.wrong_step == 1
    assert correction.revision.splitlines() == [
        "Step 1: Ann has 3 * 4 = 12 apples.",
        "Step 2: After eating 2 there are 12 - 2 = 10 left.",
        "The answer is 10.",
    ]
    assert correction.fields["correct_solution"].startswith("...\nStep 2: After eating 2")
    assert correction.cost == 0.5


BAD = {
    "unreadable_reply": "I cannot help with that.",
    "bad_step": TEXT_REPLY.replace("Step: Step 2", "Step: Step 7"),
    "no_change": "Incorrect Step: Step 1\nExplanation: none.\nCorrect Solution:\n" + ATTEMPT,
    "wrong_answer": TEXT_REPLY.replace("10 left", "11 left").replace("is 10.", "is 11."),
    "prefix_changed": TEXT_REPLY.replace("...\n", "Step 1: Ann has 3 + 4 = 7 apples.\n"),
}


@pytest.mark.parametrize(("reason", "reply"), BAD.items(), ids=BAD.keys())
async def test_a_bad_reply_is_dropped_with_its_reason_and_cost(reason: str, reply: str) -> None:
    outcome = await Lema(RecipeConfig()).correct(GRADED, Replies(reply), None)
    (drop,) = outcome.drops
    assert (drop.reason, drop.id, drop.cost, drop.requests) == (reason, "a1", 0.5, 1)
    assert drop.detail == reply, "the reply that was paid for is kept"
    assert outcome.corrections == ()


async def test_cut_off_and_refused_requests_are_drops() -> None:
    cut = await Lema(RecipeConfig()).correct(GRADED, Replies(TEXT_REPLY, finish="length"), None)
    assert [d.reason for d in cut.drops] == ["cut_off"]
    refused = await Lema(RecipeConfig()).correct(GRADED, Replies(RequestRefused("too_long", "9,000 tokens")), None)
    assert [(d.reason, d.detail) for d in refused.drops] == [("too_long", "9,000 tokens")]


async def test_tries_go_on_until_one_passes_and_ask_differently() -> None:
    corrector = Replies("nothing", TEXT_REPLY)
    outcome = await Lema(RecipeConfig(tries=3)).correct(GRADED, corrector, None)
    assert len(outcome.corrections) == 1
    assert [d.reason for d in outcome.drops] == ["unreadable_reply"]
    (_, first), (_, second) = corrector.requests
    assert first.temperature == 0.0 and second.temperature > 0 and first.seed != second.seed


async def test_the_same_mistake_is_paid_for_once_and_cut_off_answers_never() -> None:
    wrong = Grade("wrong", "9")
    attempts = (
        GradedAttempt(Attempt("a1", ATTEMPT, "m"), wrong),
        GradedAttempt(Attempt("a2", ATTEMPT.replace("\n", " \n"), "m"), wrong),
        GradedAttempt(Attempt("a3", ATTEMPT + " x", "m", finish_reason="length"), wrong),
        GradedAttempt(Attempt("a4", ATTEMPT + " y", "m", origin="written"), wrong),
    )
    corrector = Replies(TEXT_REPLY)
    outcome = await Lema(RecipeConfig(corrections_per_question=4)).correct(
        GradedQuestion(QUESTION, attempts), corrector, None
    )
    assert [c.attempt_id for c in outcome.corrections] == ["a1"]
    assert len(corrector.requests) == 1


async def test_the_corrector_never_sees_the_reference_and_the_target_never_holds_the_mistake() -> None:
    corrector = Replies(TEXT_REPLY)
    recipe = Lema(RecipeConfig())
    outcome = await recipe.correct(GRADED, corrector, None)
    asked = corrector.requests[0][0][-1].content.rsplit("---", 1)[-1]
    assert QUESTION.text in asked and "is 9." in asked and "10" not in asked
    (example,) = recipe.to_examples(GRADED, outcome.corrections[0])
    assert "12 - 2 = 9" in example.prompt[0].content
    assert "12 - 2 = 9" not in example.target_text
    assert [span.learn for span in example.target] == [True]
    assert example.target_text.startswith("Incorrect Step: Step 2\nExplanation: ")
    assert (example.attempt_id, example.correction_id) == ("a1", outcome.corrections[0].id)


async def test_ablated_parts_leave_the_target() -> None:
    outcome = await Lema(RecipeConfig()).correct(GRADED, Replies(TEXT_REPLY), None)
    ablated = Lema(RecipeConfig(options={"parts": ["step", "solution"]}))
    (example,) = ablated.to_examples(GRADED, outcome.corrections[0])
    assert "Explanation" not in example.target_text and "Incorrect Step" in example.target_text
    with pytest.raises(ConfigError, match="unknown"):
        Lema(RecipeConfig(options={"parts": ["steps"]}))


async def test_multiple_choice_has_no_steps() -> None:
    question = Question("c", "What is cold?", "B", "test", task="choice", choices=("fire", "ice"))
    attempt = Attempt("a1", "Fire is cold.\nThe answer is (A).", "m")
    graded = GradedQuestion(question, (GradedAttempt(attempt, Grade("wrong", "A")),))
    reply = "Mistakes: Fire is hot.\nCorrected Answer: Ice is frozen water, so it is cold.\nThe answer is (B)."
    outcome = await Lema(RecipeConfig()).correct(graded, Replies(reply), None)
    (correction,) = outcome.corrections
    assert correction.wrong_step is None and correction.revision.endswith("(B).")
    (example,) = Lema(RecipeConfig()).to_examples(graded, correction)
    assert example.target_text.startswith("Mistakes: Fire is hot.\nCorrected Answer:\nIce")


@pytest.mark.parametrize("task", ["arithmetic", "math", "choice"])
def test_each_task_has_four_demonstrations(task: str) -> None:
    choices = ("x", "y") if task == "choice" else None
    prompt = correction_prompt(Question("q", "Q?", "1", "t", task=task, choices=choices), "Step 1: x")
    assert prompt[0].content.count("Question:\n") == 5
