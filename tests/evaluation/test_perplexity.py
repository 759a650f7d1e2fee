"""Perplexity gaps against a calculation by hand, and what a run needs for them."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from lema_ray.attempts import solve_prompt
from lema_ray.config import ConfigError
from lema_ray.evaluation.perplexity import Pair, pairs, perplexity_gaps, perplexity_run
from lema_ray.records import Attempt, Grade, GradedAttempt, GradedQuestion, Question
from lema_ray.runs import RunFolder

RIGHT, WRONG = "Step 1: 3-2=1\nThe answer is 1.", "Step 1: 3-2=2\nThe answer is 2."


def row(number: int, solution: str | None = RIGHT, right: bool = False) -> GradedQuestion:
    question = Question(str(number), f"How many are left of {number}?", "1", "test", solution=solution)
    attempts = [GradedAttempt(Attempt(f"w{number}", WRONG, "m"), Grade("wrong", "2"))]
    if right:
        attempts.append(GradedAttempt(Attempt(f"r{number}", "The answer is 1.", "m"), Grade("right", "1")))
    return GradedQuestion(question, tuple(attempts))


def test_a_pair_needs_a_mistake_and_a_right_solution() -> None:
    rows = [row(1), row(2, None), row(3, None, right=True), GradedQuestion(row(4).question)]
    assert [(p.question.id, p.right) for p in pairs(rows)] == [("1", RIGHT), ("3", "The answer is 1.")]


@pytest.mark.train
def test_the_gap_is_that_of_the_tokens_of_the_answer(tiny_model: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    model = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32).eval()

    def by_hand(question: Question, solution: str) -> float:
        prompt = f"<|user|>\n{solve_prompt(question)[0].content}<|end|>\n<|assistant|>\n"
        before = tokenizer(prompt)["input_ids"]
        ids = before + tokenizer(solution + "<|end|>")["input_ids"]
        with torch.inference_mode():
            chances = model(torch.tensor([ids])).logits[0].log_softmax(-1)
        found = [float(chances[at - 1, ids[at]]) for at in range(len(before), len(ids))]
        return math.exp(-sum(found) / len(found))

    pair = Pair(row(1).question, WRONG, RIGHT)
    expected = by_hand(pair.question, WRONG) - by_hand(pair.question, RIGHT)
    assert perplexity_gaps(str(tiny_model), [pair]) == [pytest.approx(expected, rel=1e-4)]


@pytest.mark.train
def test_a_run_compares_its_models_on_the_first_ones_mistakes(tiny_model: Path, tmp_path: Path) -> None:
    run = RunFolder(str(tmp_path))
    with pytest.raises(ConfigError, match="lema evaluate"):
        perplexity_run(run, {"base": str(tiny_model)}, 10)
    run.write_records([row(n) for n in range(4)], GradedQuestion, "evaluations", "base--greedy.parquet")
    text = perplexity_run(run, {"base": str(tiny_model), "same": str(tiny_model)}, 3)
    assert "3 held-out questions" in text and "against the first +0.000 (+0.000 to +0.000)" in text
    with pytest.raises(ConfigError, match="1 held-out"):
        perplexity_run(run, {"base": str(tiny_model)}, 1)
