"""What a run will ask for, before anything is asked: rows, calls, tokens, money, and the first full prompts.

Called by `--dry-run` and by `doctor`. Every figure that is not counted is a range, and says what it rests on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lema_ray.attempts import solve_prompt
from lema_ray.config import OpenAISpec, RunConfig
from lema_ray.recipes import open_recipe
from lema_ray.records import Message, Question

CHARACTERS_PER_TOKEN = 3.5
"""English text with numbers, for an estimate without loading a tokenizer."""


@dataclass(frozen=True, slots=True)
class CallPlan:
    """Requests of one stage and their tokens, from the least to the most."""

    stage: str
    calls: tuple[int, int]
    prompt_tokens: tuple[int, int]
    completion_tokens: tuple[int, int]
    cost: tuple[float, float]


def estimate_tokens(messages: Sequence[Message]) -> int:
    """About how many tokens some messages are."""
    return int(sum(len(m.content) for m in messages) / CHARACTERS_PER_TOKEN) + 1


def plan_calls(config: RunConfig, rows: int, sample: Sequence[Question], corrector_prompt: int) -> list[CallPlan]:
    """The plan of each stage that calls a model, for `rows` questions of which some are at hand as `sample`."""
    prompt = sum(estimate_tokens(solve_prompt(q)) for q in sample) // max(len(sample), 1)
    plans = []
    for role, students in (("attempts", config.students), ("solutions", config.writers)):
        for student in students:
            calls = rows * student.samples
            plans.append(
                _calls(
                    f"{role} {student.engine.model}",
                    student.engine,
                    (calls, calls),
                    prompt,
                    student.sampling.max_tokens,
                )
            )
    for recipe in config.recipes:
        most = rows * open_recipe(recipe).most_requests(sum(s.samples for s in config.students) or 1)
        stage, tokens = f"corrections {recipe.name}", recipe.sampling.max_tokens
        plans.append(_calls(stage, config.corrector.engine, (0, most), corrector_prompt, tokens))
    return plans


def _calls(stage: str, engine: object, calls: tuple[int, int], prompt: int, max_tokens: int) -> CallPlan:
    low, high = calls
    prompts = (low * prompt, high * prompt)
    completions = (low, high * max_tokens)
    prices = engine.prices if isinstance(engine, OpenAISpec) else None

    def cost(k: int) -> float:
        if prices is None:
            return 0.0
        return (prompts[k] * prices.input_per_million + completions[k] * prices.output_per_million) / 1e6

    return CallPlan(stage, calls, prompts, completions, (cost(0), cost(1)))


def describe(plans: Sequence[CallPlan], rows: int) -> str:
    """The plan as a table of text."""
    lines = [f"questions: {rows}", f"{'stage':<40}{'calls':>20}{'prompt tokens':>26}{'new tokens':>26}{'cost':>20}"]
    for plan in plans:
        cells = (
            _range(plan.calls, "{:,}"),
            _range(plan.prompt_tokens, "{:,}"),
            _range(plan.completion_tokens, "{:,}"),
            _range(plan.cost, "{:,.2f}"),
        )
        lines.append(f"{plan.stage[:39]:<40}{cells[0]:>20}{cells[1]:>26}{cells[2]:>26}{cells[3]:>20}")
    total = (sum(p.cost[0] for p in plans), sum(p.cost[1] for p in plans))
    lines.append(f"money, at the configured prices: {_range(total, '{:,.2f}')}")
    lines.append("the least: no attempt is wrong, answers of one token; the most: all are, and answers use max_tokens")
    return "\n".join(lines)


def _range(pair: tuple[float, float], form: str) -> str:
    low, high = (form.format(value) for value in pair)
    return low if low == high else f"{low} - {high}"


def dry_run(config: RunConfig, sample_size: int = 100) -> str:
    """The plan and the first full prompts, from reading the training questions and nothing else."""
    from lema_ray.questions import read_questions

    rows = 0
    sample: list[Question] = []
    for _, item in read_questions(config.questions.train, config.seed):
        if isinstance(item, Question):
            rows += 1
            sample += [item] if len(sample) < sample_size else []
    first = sample[0]
    student = solve_prompt(first, config.students[0].few_shot if config.students else 0)
    # The corrector's prompt holds an attempt, which does not exist yet: the reference solution stands in for it.
    stand_in = first.solution or f"Step 1: The answer is {first.reference}."
    corrector = open_recipe(config.recipe).preview(first, stand_in)
    plans = plan_calls(config, rows, sample, estimate_tokens(corrector))
    shown = [
        show_prompt("first prompt to the student", student),
        show_prompt("first prompt to the corrector", corrector),
    ]
    return "\n".join([describe(plans, rows), "", *shown])


def show_prompt(title: str, messages: Sequence[Message]) -> str:
    """A full prompt as it will be sent."""
    turns = "\n".join(f"[{m.role}]\n{m.content}" for m in messages)
    return f"--- {title} ---\n{turns}\n"
