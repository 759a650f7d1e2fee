"""Ask a student to solve a question k times.

`solve_prompt` is the one prompt that sampling, CoT training rows and evaluation share, so that a model is always
asked as it was taught. `attempt_question` is run by the student pool of `on_ray.collect` and by evaluation.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from lema_ray.config import SamplingConfig
from lema_ray.engines import Generate, RequestRefused
from lema_ray.few_shot.solutions import SOLUTIONS
from lema_ray.records import (
    UNGRADED,
    Attempt,
    Completion,
    Dropped,
    GradedAttempt,
    GradedQuestion,
    Message,
    Origin,
    Question,
    Sampling,
    Task,
    Turn,
    content_id,
)

INSTRUCTIONS: dict[Task, str] = {
    "arithmetic": "Solve this step by step, one step a line, and end with: The answer is",
    "math": "Solve this step by step, one step a line, and end with: The answer is $\\boxed{...}$.",
    "code": "Write this in Python, with the standard library alone, and give the whole program in one ```python block.",
    "choice": "Think about each choice, then end with the letter of the best one: The answer is (...)",
}
BEWARE = "Mistakes that are often made with such questions, to be avoided:"


def question_text(question: Question) -> str:
    """The question as prompts show it, with its lettered choices if it has any."""
    if not question.choices:
        return question.text
    lettered = (f"({chr(ord('A') + i)}) {choice}" for i, choice in enumerate(question.choices))
    return "\n".join((question.text, *lettered))


def solve_prompt(question: Question, few_shot: int = 0, warnings: Sequence[str] = ()) -> tuple[Message, ...]:
    """The messages that ask for a solution, after `few_shot` worked examples and the question's own earlier turns.

    `warnings` are mistakes to beware of (`mistakes.warned`). `converse` fills in what a model says to earlier turns.
    """
    instruction = INSTRUCTIONS[question.task]
    messages = []
    turns = [(turn.asked, turn.answered or "") for turn in question.earlier]
    for text, solution in (*SOLUTIONS[question.task][:few_shot], *turns):
        messages += [Message("user", f"{text}\n\n{instruction}"), Message("assistant", solution)]
    warned = "\n".join((BEWARE, *(f"- {warning}" for warning in warnings), "")) + "\n" if warnings else ""
    return (*messages, Message("user", f"{question_text(question)}\n\n{warned}{instruction}"))


def attempt_seed(run_seed: int, question_id: str, model: str, k: int) -> int:
    """The seed of the k-th attempt: another for every question, model and k, the same in every run of a seed."""
    return int(content_id(str(run_seed), question_id, model, str(k)), 16) % 2**31


def request_seed(sampling: SamplingConfig, run_seed: int, question_id: str, model: str, k: int) -> int | None:
    """`attempt_seed` where there is anything to draw, None for greedy decoding."""
    return attempt_seed(run_seed, question_id, model, k) if sampling.temperature > 0 else None


def attempt_id(question_id: str, model: str, k: int) -> str:
    """The id of a model's k-th attempt at a question."""
    return f"{question_id}/{content_id(model)[:4]}{k}"


def new_attempt(id: str, model: str, completion: Completion, sampling: Sampling) -> Attempt:
    """The record of what a model answered."""
    return Attempt(
        id=id,
        text=completion.text,
        model=model,
        finish_reason=completion.finish_reason,
        seed=sampling.seed,
        temperature=sampling.temperature,
        prompt_tokens=completion.prompt_tokens,
        completion_tokens=completion.completion_tokens,
        cost=completion.cost,
    )


async def converse(
    question: Question, generate: Generate, *, model: str, sampling: SamplingConfig, few_shot: int = 0, seed: int = 0
) -> Question:
    """The question with the model's own answers to those earlier turns that have none. Raises `RequestRefused`."""
    turns: list[Turn] = []
    for turn in question.earlier:
        if turn.answered is None:
            asked = solve_prompt(replace(question, text=turn.asked, choices=None, earlier=tuple(turns)), few_shot)
            own_seed = request_seed(sampling, seed, f"{question.id}/{len(turns)}", model, 0)
            turn = replace(turn, answered=(await generate(asked, sampling.with_seed(own_seed))).text)
        turns.append(turn)
    return replace(question, earlier=tuple(turns))


async def attempt_question(
    graded: GradedQuestion,
    generate: Generate,
    *,
    model: str,
    samples: int,
    sampling: SamplingConfig,
    few_shot: int = 0,
    seed: int = 0,
    origin: Origin = "sampled",
    warnings: Sequence[str] = (),
) -> GradedQuestion:
    """The question with `samples` more attempts by `model`, not graded yet; a refused request becomes `Dropped`."""
    messages = solve_prompt(graded.question, few_shot, warnings)

    async def one(k: int) -> GradedAttempt | Dropped:
        own_id = attempt_id(graded.question.id, model, k)
        own_seed = request_seed(sampling, seed, graded.question.id, model, k)
        try:
            completion = await generate(messages, sampling.with_seed(own_seed))
        except RequestRefused as refusal:
            return refusal.dropped("attempts", own_id)
        attempt = new_attempt(own_id, model, completion, sampling.with_seed(own_seed))
        return GradedAttempt(replace(attempt, origin=origin), UNGRADED)

    made = await asyncio.gather(*(one(k) for k in range(samples)))
    attempts = tuple(m for m in made if isinstance(m, GradedAttempt))
    drops = tuple(m for m in made if isinstance(m, Dropped))
    return replace(graded, attempts=graded.attempts + attempts, drops=graded.drops + drops)
