"""What the base model that marks its own steps is taught: marked solutions, drills, and checks of claims.

Half of the solutions are homework as it comes: with slips, which are not learned, and marks, which are. They go on from
the wrong number all the same, so the model can tell a wrong step from a right one, and nobody has shown it what to do
about one. Called by `marking_model`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from random import Random

from lema_ray.attempts import solve_prompt
from lema_ray.demo.grammar import Calculation, Story
from lema_ray.demo.lessons import CALCULATE, CHECK, DRILL_LENGTH, Lesson, calculation, slip
from lema_ray.demo.marks import check, mark
from lema_ray.demo.word_problems import generate
from lema_ray.records import Message, Question, Span

HOMEWORK = 0.5
SLIPS = 0.35
DRILLED = {"+": 3, "*": 1}
"""What checks need. Taking away and dividing are learned from solutions alone, so that they stay harder than checks."""
CLAIMED = {"+": 3, "-": 3, "*": 1, "/": 1}


def homework_lessons(problems: int, drills: int, checks: int, max_value: int, seed: int) -> list[Lesson]:
    """That many marked solutions, drills and checks, shuffled."""
    rng = Random(f"lessons {seed}")
    made = [_solution(p.question, p.story, rng, max_value) for p in generate(problems, seed, max_value=max_value)]
    made += [_drill(rng, max_value) for _ in range(drills)]
    made += [_checks(rng, max_value) for _ in range(checks)]
    rng.shuffle(made)
    return made


def _solution(question: Question, story: Story, rng: Random, max_value: int) -> Lesson:
    """A marked solution, every second one with slips, unless the story cannot go on from them."""
    slipped = _calculations(story, rng, SLIPS, max_value) if rng.random() < HOMEWORK else []
    return Lesson(solve_prompt(question), tuple(_spans(story, slipped or _calculations(story, rng, 0.0, max_value))))


def _calculations(story: Story, rng: Random, chance: float, max_value: int) -> list[Calculation]:
    """The story's calculations, some with slips; none when it cannot go on from them."""
    value, made = story.start, list[Calculation]()
    for change in story.changes:
        true = Calculation(value, change.symbol, change.operand, 0).true_result
        if true is None or not 0 <= true <= max_value:
            return []
        claimed = Calculation(value, change.symbol, change.operand, true)
        if rng.random() < chance:
            slipped = replace(claimed, result=slip(rng, true))
            claimed = slipped if _can_be_checked(slipped, max_value) else claimed
        made.append(claimed)
        value = claimed.result
    return made


def _spans(story: Story, made: Sequence[Calculation]) -> Iterator[Span]:
    """All that is right, marks that say "wrong" among it; wrong results are not learned."""
    right = ""
    for number, (change, one) in enumerate(zip(story.changes, made, strict=True), 1):
        right += f"Step {number}: {change.phrase}, so {one.left} {one.symbol} {one.right} ="
        if one.result == one.true_result:
            right += f" {one.result}"
        else:
            yield from (Span(right), Span(f" {one.result}", learn=False))
            right = ""
        right += f" {story.things}.{mark(one)}\n"
    yield Span(f"{right}The answer is {made[-1].result}.")


def _can_be_checked(claimed: Calculation, max_value: int) -> bool:
    """Whether claim and check keep to the numbers that are taught."""
    return claimed.result <= max_value and check(claimed)[0].result <= max_value


def _drill(rng: Random, max_value: int) -> Lesson:
    """Calculations in the words of checks, of which only the results are learned."""
    spans = list[Span]()
    for made in (_thinned(rng, max_value, DRILLED) for _ in range(DRILL_LENGTH)):
        spans += [Span(f" {made.left} {made.symbol} {made.right} is", learn=False), Span(f" {made.result};")]
    return Lesson((Message("user", CALCULATE),), tuple(spans))


def _checks(rng: Random, max_value: int) -> Lesson:
    """Claims, half of them slips, and the marks behind them, which alone are learned."""
    spans = list[Span]()
    while len(spans) < 2 * DRILL_LENGTH:
        claimed = _thinned(rng, max_value, CLAIMED)
        if rng.random() < 0.5:
            claimed = replace(claimed, result=slip(rng, claimed.result))
        if _can_be_checked(claimed, max_value):
            spans += [Span(f" {claimed}.", learn=False), Span(mark(claimed))]
    return Lesson((Message("user", CHECK),), tuple(spans))


def _thinned(rng: Random, max_value: int, kept: Mapping[str, int]) -> Calculation:
    """A calculation of the usual mix, of which each operation is kept that often."""
    while True:
        made = calculation(rng, max_value)
        if made.symbol == rng.choices(list(kept), list(kept.values()))[0]:
            return made
