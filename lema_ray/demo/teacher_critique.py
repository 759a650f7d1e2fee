"""The rule-based teacher as a critic, and as an actor that refines by a critique. `rules.reply` calls it.

A refinement does what the critique says and no more: it keeps the steps before the one that is called wrong, right or
not, and calculates on from them. So a critique that names the wrong step leads to a wrong answer, as it would with a
model that takes it at its word.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from random import Random

from lema_ray.demo.diagnosis import Step, diagnose, read_steps
from lema_ray.demo.grammar import Calculation, Story
from lema_ray.demo.requests import Request
from lema_ray.demo.wordings import CANNOT, explain, repair

FOLLOWS = ("It goes on from a wrong number.", "It builds on the mistake before.", "The number it starts from is wrong.")
_LABEL = re.compile(r"^Step \d+[:.] ?")
_WRONG = re.compile(r"(?im)^\W*step (\d+)\W+wrong\b")


def criticize(request: Request, story: Story, rng: Random, slip: int) -> str:
    """Verdicts in the format that was asked for; with a `slip` a neighbour of the wrong step is named."""
    steps = read_steps(request.blocks["Solution"])
    found = diagnose(story, steps)
    if not steps:
        return CANNOT
    if found is None:
        return "\n".join([*(f"Step {step.number}: right" for step in steps), "Final answer: right"])
    at = steps.index(found.step)
    named = at + (1 if at + 1 < len(steps) else -1) if slip and len(steps) > 1 else at
    lines = [f"Step {step.number}: right" for step in steps[:named]]
    lines.append(f"Step {steps[named].number}: wrong - {explain(story, found, rng)}")
    if request.to_the_end:
        lines += _rest(story, steps[named + 1 :], rng)
    lines.append(f"Final answer: wrong{f' - It should be {story.answer + slip}.' if request.to_the_end else ''}")
    if request.then_correct:
        kept = "\n".join(f"Step {step.number}: {step.text}" for step in steps[:at])
        lines += ["Correction:", *([kept] if kept else []), repair(story, steps, found)]
    return "\n".join(lines)


def _rest(story: Story, steps: list[Step], rng: Random) -> Iterator[str]:
    for step in steps:
        made = step.calculations
        right = bool(made) and all(one in story.calculations for one in made) and step.answer in (None, story.answer)
        yield f"Step {step.number}: {'right' if right else f'wrong - {rng.choice(FOLLOWS)}'}"


def refine(story: Story, attempt: str, critique: str, slip: int) -> str:
    """The attempt up to the first step that the critique calls wrong, and calculated on from there."""
    named = _WRONG.search(critique)
    if named is None:
        return attempt
    # Critiques count lines, the answer's among them, whatever labels the attempt has.
    lines = [_LABEL.sub("", line.strip()) for line in attempt.splitlines() if line.strip()]
    kept = [Step(number, line) for number, line in enumerate(lines, 1) if number < int(named[1])]
    made = [one for step in kept for one in step.calculations]
    value, lines = made[-1].result if made else story.start, [f"Step {step.number}: {step.text}" for step in kept]
    for change in story.changes[len(made) :]:
        result = Calculation(value, change.symbol, change.operand, 0).true_result
        if result is None:
            break
        calculation = Calculation(value, change.symbol, change.operand, result)
        lines.append(f"Step {len(lines) + 1}: {change.phrase}, so {calculation} {story.things}.")
        value = result
    return "\n".join([*lines, f"The answer is {value + slip}."])
