"""The rule-based teacher as a student who edits its own right steps: seven ways to make a step of a story wrong.

`rules.reply` calls it with the story that it read. Each way rewrites the calculation that stands in the step. A swap
that changes nothing, as in a sum, is returned as it comes: to notice that is the asker's work.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from random import Random

from lema_ray.demo.diagnosis import Step
from lema_ray.demo.grammar import Calculation, Story
from lema_ray.demo.requests import Request, show_fields
from lema_ray.demo.wordings import CANNOT

LABELS = {"edited_step": "Edited Step"}
SLIPS = (-10, -2, -1, 1, 2, 10)
OPPOSITES = {
    "more": "fewer", "fewer": "more", "first": "last", "last": "first", "before": "after", "after": "before",
    "buys": "sells", "sells": "buys", "gets": "loses", "loses": "gets", "finds": "loses", "gives": "takes",
    "all": "half of", "half": "all", "doubles": "halves", "left": "gone", "start": "end", "end": "start",
}  # fmt: skip


def answer(request: Request, story: Story, rng: Random, as_json: bool) -> str:
    """The edited step, or that it cannot be edited in this way."""
    step, way = request.blocks["Step To Edit"], WAYS.get(request.blocks["Edit"])
    found = list(way(step, story, rng)) if way else []
    return show_fields({"edited_step": rng.choice(found)}, LABELS, as_json) if found else CANNOT


def _made(step: str) -> Calculation | None:
    """The calculation in a step, if it is written as the demo's solutions write it."""
    made = next(iter(Step(1, step).calculations), None)
    return made if made is not None and str(made) in step else None


def _number(step: str, story: Story, rng: Random) -> Iterator[str]:
    if made := _made(step):
        for place in ("left", "right", "result"):
            numbers = {"left": made.left, "right": made.right, "result": made.result}
            numbers[place] += rng.choice(SLIPS)
            if numbers[place] >= 0:
                yield step.replace(str(made), str(Calculation(symbol=made.symbol, **numbers)))


def _related(step: str, story: Story, rng: Random) -> Iterator[str]:
    if made := _made(step):
        for slip in SLIPS:
            if (other := _calculated(made.left, made.symbol, made.right + slip)) and made.right + slip > 0:
                told, _, rest = step.partition(str(made))
                yield re.sub(rf"(?<!Step )\b{made.right}\b", str(made.right + slip), told) + other + rest


def _substituted(step: str, story: Story, rng: Random) -> Iterator[str]:
    if made := _made(step):
        sentences = [*(change.sentence for change in story.changes), *story.distractions]
        known = {int(n) for sentence in sentences for n in re.findall(r"\d+", sentence)} | {story.start}
        for number in sorted(known - {made.left, made.right}):
            for left, right in ((number, made.right), (made.left, number)):
                if other := _calculated(left, made.symbol, right):
                    yield step.replace(str(made), other)


def _deleted(step: str, story: Story, rng: Random) -> Iterator[str]:
    if made := _made(step):
        yield from (step.replace(str(made), str(kept)) for kept in (made.left, made.right))


def _operator(step: str, story: Story, rng: Random) -> Iterator[str]:
    if made := _made(step):
        for symbol in "+-*/":
            if symbol != made.symbol and (other := _calculated(made.left, symbol, made.right)):
                yield step.replace(str(made), other)


def _swapped(step: str, story: Story, rng: Random) -> Iterator[str]:
    if made := _made(step):
        result = Calculation(made.right, made.symbol, made.left, 0).true_result
        swapped = Calculation(made.right, made.symbol, made.left, made.result if result is None else result)
        yield step.replace(str(made), str(swapped))


def _reworded(step: str, story: Story, rng: Random) -> Iterator[str]:
    for word in re.finditer(r"[a-z]+", step):
        if word[0] in OPPOSITES:
            yield step[: word.start()] + OPPOSITES[word[0]] + step[word.end() :]


def _calculated(left: int, symbol: str, right: int) -> str | None:
    """A true calculation as a solution writes it, None where it does not come to a whole number from 0 on."""
    result = Calculation(left, symbol, right, 0).true_result
    return None if result is None or result < 0 else str(Calculation(left, symbol, right, result))


WAYS: dict[str, Callable[[str, Story, Random], Iterator[str]]] = {
    "change a number": _number,
    "change related numbers": _related,
    "substitute wrongly": _substituted,
    "delete a term": _deleted,
    "change an operator": _operator,
    "swap two terms": _swapped,
    "change the wording": _reworded,
}
