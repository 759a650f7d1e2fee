"""A model is trained, examined and served under one template: the same token ids, for every task and every recipe."""

from __future__ import annotations

from pathlib import Path

import pytest

from lema_ray.attempts import solve_prompt
from lema_ray.config import BuildConfig, RecipeConfig
from lema_ray.engines.chat_template import ChatTemplate
from lema_ray.examples.cot import cot_examples
from lema_ray.recipes.lemma import Lemma
from lema_ray.records import Attempt, Correction, Grade, GradedAttempt, GradedQuestion, Message, Question, Task
from lema_ray.training.masking import NOT_LEARNED, tokenize_example

WRONG = "Step 1: 3 * 4 = 13.\nStep 2: 13 - 2 = 11.\nThe answer is 11."
FIELDS = {"doubt": "Wait, 3 * 4 is not 13.", "rest": "Step 1: 3 * 4 = 12.\nStep 2: 12 - 2 = 10.\nThe answer is 10."}


def row(task: Task) -> GradedQuestion:
    choices = ("10", "11") if task == "choice" else None
    question = Question(
        "q", "Ann has 3 bags of 4 apples and eats 2. How many are left?", "10", "t", task, choices=choices
    )
    attempts = (
        GradedAttempt(Attempt("w", WRONG, "m"), Grade("wrong", "11")),
        GradedAttempt(Attempt("r", FIELDS["rest"], "m"), Grade("right", "10")),
    )
    return GradedQuestion(question, attempts)


@pytest.mark.parametrize("task", ["arithmetic", "math", "choice"])
def test_training_examining_and_serving_show_a_model_the_same_tokens(tiny_model: Path, task: Task) -> None:
    graded, template = row(task), ChatTemplate(str(tiny_model))
    correction = Correction("c", "lemma", "w", "", FIELDS["rest"], 0, fields=FIELDS, strategy="fix")
    taught = Lemma(RecipeConfig(name="lemma")).to_examples(graded, correction)
    taught += [example for _, example in cot_examples(graded, BuildConfig(), 0)]
    assert {example.kind for example in taught} == {"lemma", "cot"}
    asked = template.tokens(solve_prompt(graded.question))
    for example in taught:
        trained = tokenize_example(example, template.tokenizer)
        assert trained.input_ids[: len(asked)] == asked
        assert trained.labels[: len(asked)] == [NOT_LEARNED] * len(asked) and trained.labels[len(asked)] != NOT_LEARNED
        begun = (*solve_prompt(graded.question), Message("assistant", example.target_text))
        said = template.tokens(begun)
        assert trained.input_ids[: len(said)] == said, "what a served model has said, goes on as it was trained"
