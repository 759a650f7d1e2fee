"""A story's solution with one mistake of a given type, made on purpose. Used by the teacher, and to label mistakes.

Which step is wrong follows from how the mistake is made; nothing here looks for mistakes. `python -m
lema_ray.demo.erring 500` prints that many labelled solutions, a sixth of them right, for `lema score-corrector`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random

from lema_ray.demo.grammar import Calculation, Story
from lema_ray.demo.word_problems import generate

CONFUSED = {"*": "+", "/": "-"}
"""So many times as many, taken for so many more."""


@dataclass(frozen=True, slots=True)
class Erring:
    """A wrong solution, the number of its first wrong step, and why that is wrong."""

    solution: str
    step: int
    explanation: str
    answer: int


def err(story: Story, error_type: str, rng: Random) -> Erring | None:
    """A mistake of the type that `MAKERS` names; None when the story has no room for it."""
    maker = MAKERS.get(error_type)
    found = [e for e in maker(story, rng) if e.answer != story.answer and e.answer >= 0] if maker else []
    return rng.choice(found) if found else None


def _calculation(story: Story, rng: Random) -> Iterator[Erring]:
    for at, made in enumerate(story.calculations):
        yield from _going_on(story, at, (made.symbol, made.right, rng.choice((-10, -2, -1, 1, 2, 10))), "calculated")


def _counting(story: Story, rng: Random) -> Iterator[Erring]:
    for at, made in enumerate(story.calculations):
        yield from _going_on(story, at, (made.symbol, made.right + rng.choice((-1, 1)), 0), "miscounted")


def _confusing(story: Story, rng: Random) -> Iterator[Erring]:
    for at, made in enumerate(story.calculations):
        if made.symbol in CONFUSED:
            yield from _going_on(story, at, (CONFUSED[made.symbol], made.right, 0), "taken for something else")


def _missing(story: Story, rng: Random) -> Iterator[Erring]:
    for at in range(len(story.changes) - 1):
        yield from _going_on(story, at, None, "left out")


def _misread(story: Story, rng: Random) -> Iterator[Erring]:
    """The number before the last event, as if that were asked for."""
    for made in story.calculations[1:][-1:]:
        lines = [story.step(i, i + 1) for i in range(len(story.changes) - 1)]
        solution = "\n".join([*lines, f"The answer is {made.left}."])
        yield Erring(solution, len(lines) + 1, "What is asked for is the number in the end.", made.left)


def _going_on(story: Story, at: int, wrong: tuple[str, int, int] | None, verb: str) -> Iterator[Erring]:
    """The solution that goes wrong at one change and is right from there on.

    `wrong` is the operation, the number and what is added to the result there; None leaves the change out.
    """
    value, lines = story.start, list[str]()
    for index, change in enumerate(story.changes):
        if index == at and wrong is None:
            continue
        symbol, right, slip = wrong if index == at and wrong else (change.symbol, change.operand, 0)
        result = Calculation(value, symbol, right, 0).true_result
        if result is None or result + slip < 0:
            return
        made = Calculation(value, symbol, right, result + slip)
        lines.append(f"Step {len(lines) + 1}: {change.phrase}, so {made} {story.things}.")
        value = made.result
    solution = "\n".join([*lines, f"The answer is {value}."])
    yield Erring(solution, at + 1, f'What "{story.changes[at].sentence}" says was {verb}.', value)


MAKERS: dict[str, Callable[[Story, Random], Iterator[Erring]]] = {
    "calculation": _calculation,
    "counting": _counting,
    "confusing concept": _confusing,
    "missing step": _missing,
    "question misinterpretation": _misread,
}


def labelled_mistakes(count: int, seed: int = 0) -> Iterator[dict[str, object]]:
    """That many solutions as `labelled.read_labelled` takes them: each type in turn, and every sixth one right."""
    rng, made = Random(f"mistakes {seed}"), 0
    kinds = (*MAKERS, None)
    for problem in generate(4 * count, seed, min_steps=2):
        if made == count:
            return
        kind = kinds[made % len(kinds)]
        wrong = err(problem.story, kind, rng) if kind else None
        if kind and wrong is None:
            continue
        solution = wrong.solution if wrong else problem.story.solution
        yield {
            "id": f"{problem.question.id}-{kind}",
            "source": "word problems, mistakes by rule",
            "problem": problem.question.text,
            "reference": problem.question.reference,
            "steps": solution.splitlines(),
            "label": wrong.step - 1 if wrong else -1,
            "error_type": kind,
        }
        made += 1


if __name__ == "__main__":
    for row in labelled_mistakes(int(sys.argv[1])):
        print(json.dumps(row))
