"""How much less likely a model finds wrong solutions than right ones: `lema perplexity`.

LeMa (arXiv 2310.20689 v4, section 4) compares PPL(wrong solution | question) - PPL(right solution | question) before
and after training. Here the pairs are of held-out questions: the first evaluated model's mistakes, and the question's
own solution or else that model's right answer to it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from statistics import fmean
from typing import Any

from lema_ray.attempts import solve_prompt
from lema_ray.config import ConfigError
from lema_ray.evaluation.scores import evaluation_files
from lema_ray.records import GradedQuestion, Question, Span, TrainingExample
from lema_ray.runs import RunFolder
from lema_ray.statistics import difference_interval, mean_interval
from lema_ray.training.masking import NOT_LEARNED, tokenize_example


@dataclass(frozen=True, slots=True)
class Pair:
    """A question with a solution that is wrong and one that is right."""

    question: Question
    wrong: str
    right: str


def pairs(rows: Iterable[GradedQuestion]) -> Iterator[Pair]:
    """One pair of each question that has both."""
    for row in rows:
        right = row.question.solution or next((a.text for a in row.right), None)
        if row.wrong and right:
            yield Pair(row.question, row.wrong[0].text, right)


def perplexity_run(run: RunFolder, models: dict[str, str], limit: int) -> str:
    """A line per model with the mean gap and its interval, and paired differences from the first model.

    `models` are local directories by name. Also writes `evaluations/perplexity.json`. Raises `ConfigError` when no
    question has a wrong and a right solution.
    """
    files = evaluation_files(run)
    if not files:
        raise ConfigError(f"{run.root} has no evaluations; run `lema evaluate` first")
    rows = run.read_records(GradedQuestion, "evaluations", next(iter(files.values())))
    chosen = list(islice(pairs(rows), limit))
    if len(chosen) < 2:
        raise ConfigError(
            f"{run.root}: {len(chosen)} held-out questions have a wrong and a right solution; 2 are needed"
        )
    gaps = {name: perplexity_gaps(path, chosen) for name, path in models.items()}
    run.write_json({"pairs": len(chosen), "gaps": gaps}, "evaluations", "perplexity.json")
    return "\n".join(_lines(gaps, len(chosen)))


def _lines(gaps: dict[str, list[float]], count: int) -> Iterator[str]:
    yield f"perplexity of a wrong solution minus that of a right one, {count} held-out questions (95 % intervals)"
    first = next(iter(gaps.values()))
    for name, found in gaps.items():
        low, high = mean_interval(found)
        line = f"{name:<16} {fmean(found):+.3f} ({low:+.3f} to {high:+.3f})"
        if found is not first:
            low, high = difference_interval(first, found)
            line += f"; against the first {fmean(found) - fmean(first):+.3f} ({low:+.3f} to {high:+.3f})"
        yield line


def perplexity_gaps(path: str, chosen: Sequence[Pair]) -> list[float]:
    """PPL(wrong | question) - PPL(right | question) of each pair under one model, on the GPU where there is one."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    device = "cuda" if torch.cuda.is_available() else "cpu"
    tokenizer = AutoTokenizer.from_pretrained(path)
    model = AutoModelForCausalLM.from_pretrained(path, dtype="auto" if device == "cuda" else torch.float32)
    model.to(device).eval()
    with torch.inference_mode():
        return [
            _perplexity(model, tokenizer, pair.question, pair.wrong)
            - _perplexity(model, tokenizer, pair.question, pair.right)
            for pair in chosen
        ]


def _perplexity(model: Any, tokenizer: Any, question: Question, solution: str) -> float:
    """Over the solution's tokens and its end of turn, after the prompt that the model is always asked with."""
    import torch

    target = (Span(solution.strip()),)
    row = tokenize_example(TrainingExample("", solve_prompt(question), target, "cot", question.id), tokenizer)
    ids = torch.tensor([row.input_ids], device=model.device)
    logits = model(ids).logits[0, :-1].float()
    labels = torch.tensor(row.labels[1:], device=model.device)
    return math.exp(float(torch.nn.functional.cross_entropy(logits, labels, ignore_index=NOT_LEARNED)))
