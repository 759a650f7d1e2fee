"""What a run will ask for, before anything is asked: calls, tokens, time and money.

Called by `estimate`. Every figure that is not counted is a range, and says what it rests on; a probe narrows it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lema_ray.attempts import solve_prompt
from lema_ray.config import LimitsConfig, OpenAISpec, RunConfig, SamplingConfig
from lema_ray.judge import judge_prompt
from lema_ray.mistakes.warned import warnings_of
from lema_ray.planning.student import asked_student
from lema_ray.recipes import AsksStudent, open_recipe
from lema_ray.records import Message, Question
from lema_ray.spending.cost import price_of

CHARACTERS_PER_TOKEN = 3.5
"""English text with numbers, for an estimate without loading a tokenizer."""

Range = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Asking:
    """One stage that calls a model: how often at least and at most, and a sample of its prompts."""

    stage: str
    engine: Any
    actors: int
    calls: tuple[int, int]
    prompts: tuple[tuple[Message, ...], ...]
    sampling: SamplingConfig


@dataclass(frozen=True, slots=True)
class Probed:
    """What an endpoint did with a few prompts: tokens (least, most) and seconds per call."""

    prompt_tokens: Range
    completion_tokens: Range
    seconds: Range


@dataclass(frozen=True, slots=True)
class CallPlan:
    """Requests of one stage and what they come to, from the least to the most. `seconds` None: not known."""

    stage: str
    calls: tuple[int, int]
    prompt_tokens: Range
    completion_tokens: Range
    cost: Range
    seconds: Range | None
    price: str


def estimate_tokens(messages: Sequence[Message]) -> int:
    """About how many tokens some messages are."""
    return int(sum(len(m.content) for m in messages) / CHARACTERS_PER_TOKEN) + 1


def askings(config: RunConfig, rows: int, sample: Sequence[Question]) -> list[Asking]:
    """The stages of collect that call a model, for `rows` questions of which some are at hand as `sample`."""
    found = []
    for role, students in (("attempts", config.students), ("solutions", config.writers)):
        for s in students:
            prompts = tuple(solve_prompt(question, s.few_shot, warnings_of(s.error_aware)) for question in sample)
            calls = (rows * s.samples, rows * s.samples)
            found.append(Asking(f"{role} {s.engine.model}", s.engine, s.actors.max, calls, prompts, s.sampling))
    return [*found, *_correcting(config, rows, sample)]


def _correcting(config: RunConfig, rows: int, sample: Sequence[Question]) -> Iterator[Asking]:
    """The corrector's calls for each recipe. An attempt does not exist yet: the reference solution stands in for it."""
    corrector, student = config.corrector, asked_student(config)
    samples = sum(s.samples for s in config.students) or 1
    if config.grading.judge is not None:
        shown = tuple(judge_prompt(q, q.solution or q.reference) for q in sample)
        most = rows * (samples + sum(w.samples for w in config.writers))
        yield Asking("judge", corrector.engine, corrector.actors.max, (0, most), shown, config.grading.judge)
    for settings in config.recipes:
        recipe = open_recipe(settings)
        most = rows * recipe.most_requests(samples)
        shown = tuple(recipe.preview(q, q.solution or f"Step 1: The answer is {q.reference}.") for q in sample)
        asked = recipe.student_requests(samples) if isinstance(recipe, AsksStudent) else 0
        if asked and student is not None:
            calls, prompts = (0, rows * asked), tuple(solve_prompt(q, student.few_shot) for q in sample)
            actors = corrector.actors.max
            yield Asking(f"student {recipe.name}", student.engine, actors, calls, prompts, student.sampling)
        yield Asking(
            f"corrections {recipe.name}", corrector.engine, corrector.actors.max, (0, most), shown, settings.sampling
        )


def plan_calls(asked: Sequence[Asking], probed: Mapping[str, Probed]) -> list[CallPlan]:
    """The plan of each stage; `probed` by stage."""
    return [_plan(asking, probed.get(asking.stage)) for asking in asked]


def _plan(asking: Asking, probed: Probed | None) -> CallPlan:
    lengths = [estimate_tokens(prompt) for prompt in asking.prompts] or [1]
    mean = sum(lengths) / len(lengths)
    prompt = probed.prompt_tokens if probed else (mean, mean)
    completion = probed.completion_tokens if probed else (1, asking.sampling.max_tokens)
    (low, high), spec = asking.calls, asking.engine
    prompts, completions = (low * prompt[0], high * prompt[1]), (low * completion[0], high * completion[1])
    if not isinstance(spec, OpenAISpec):
        return CallPlan(asking.stage, asking.calls, prompts, completions, (0.0, 0.0), None, "not an endpoint")
    price = price_of(spec)
    costs = [price.cost(round(p), round(c)) for p, c in zip(prompts, completions, strict=True)]
    seconds = tuple(_seconds(asking, k, prompts[k], completions[k], probed) for k in (0, 1))
    known = (seconds[0], seconds[1]) if probed or seconds[1] > 0 else None
    return CallPlan(asking.stage, asking.calls, prompts, completions, (costs[0], costs[1]), known, price.source)


def _seconds(asking: Asking, k: int, prompts: float, completions: float, probed: Probed | None) -> float:
    """How long the endpoint's limits, and its latency at full concurrency, make the calls take."""
    limits: LimitsConfig = asking.engine.limits
    per_minute = (
        (asking.calls[k], limits.requests_per_minute),
        (prompts, limits.input_tokens_per_minute),
        (completions, limits.output_tokens_per_minute),
        (prompts + completions, limits.tokens_per_minute),
    )
    bounds = [60 * amount / limit for amount, limit in per_minute if limit]
    if probed:
        concurrency = limits.concurrency or asking.engine.concurrency * asking.actors
        bounds.append(asking.calls[k] * probed.seconds[k] / concurrency)
    return max(bounds, default=0.0)


def describe(plans: Sequence[CallPlan], rows: int, probes: int = 0) -> str:
    """The plan as a table of text."""
    head = ("calls", "prompt tokens", "new tokens", "seconds", "money")
    lines = [f"questions: {rows}", f"{'stage':<34}" + "".join(f"{h:>22}" for h in head)]
    for plan in plans:
        cells = (
            _range(plan.calls, "{:,}"),
            _range(plan.prompt_tokens, "{:,.0f}"),
            _range(plan.completion_tokens, "{:,.0f}"),
            _range(plan.seconds, "{:,.0f}") if plan.seconds else "not known",
            _range(plan.cost, "{:,.2f}"),
        )
        lines.append(f"{plan.stage[:33]:<34}" + "".join(f"{cell:>22}" for cell in cells))
    total = (sum(p.cost[0] for p in plans), sum(p.cost[1] for p in plans))
    lines.append(f"money: {_range(total, '{:,.2f}')}")
    lines += [f"price of {plan.stage}: {plan.price}" for plan in plans if plan.price != "not an endpoint"]
    lines.append("the least: no attempt is wrong; the most: all are")
    seen = f"lengths and latency: the least and the most of {probes} probes a stage"
    lines.append(seen if probes else "new tokens: from one to max_tokens a call; seconds: what the limits allow")
    return "\n".join(lines)


def _range(pair: Range, form: str) -> str:
    low, high = (form.format(value) for value in pair)
    return low if low == high else f"{low} - {high}"
