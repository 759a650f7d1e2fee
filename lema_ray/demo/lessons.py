"""What the tiny base model is taught: solved word problems, calculations, and judging calculations.

`base_model` trains on these. Judging comes from the base and not from fine-tuning, as it does in a pretrained model:
a student that cannot tell a wrong step from a right one has nothing that learning from mistakes could bring out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from random import Random

from lema_ray.attempts import solve_prompt
from lema_ray.demo.grammar import Calculation
from lema_ray.demo.requests import joined
from lema_ray.demo.teacher import reply
from lema_ray.demo.teacher_lemma import RESTARTS
from lema_ray.demo.word_problems import MAX_FACTOR, generate
from lema_ray.demo.wordings import WORDINGS
from lema_ray.recipes.lema import LEARN
from lema_ray.recipes.lemma_prompts import WORDS
from lema_ray.records import Message, Span

CALCULATE = "Calculate."
CHECK = "Right or wrong?"
DRILL_LENGTH = 8
WEIGHTS = {"+": 4, "-": 4, "*": 1, "/": 1}


@dataclass(frozen=True, slots=True)
class Lesson:
    """A prompt and an answer, of which the spans marked so are learned."""

    prompt: tuple[Message, ...]
    answer: tuple[Span, ...]

    @property
    def text(self) -> str:
        """The whole answer."""
        return "".join(span.text for span in self.answer)


def lessons(problems: int, drills: int, checks: int, max_value: int, seed: int) -> list[Lesson]:
    """That many solved problems, calculation drills and check drills, shuffled."""
    rng = Random(f"lessons {seed}")
    made = [
        Lesson(solve_prompt(p.question), (Span(p.story.solution),))
        for p in generate(problems, seed, max_value=max_value)
    ]
    made += [_drill(rng, max_value) for _ in range(drills)]
    made += [_check(rng, max_value) for _ in range(checks)]
    rng.shuffle(made)
    return made


def teacher_texts(count: int, seed: int) -> Iterator[str]:
    """Corrections and doubts as training rows word them, so that the tokenizer knows the language of fine-tuning."""
    rng = Random(f"teacher texts {seed}")
    wordings = [re.sub(r"\{\w+\}", "1", text) for texts in WORDINGS.values() for text in texts]
    for number, problem in enumerate(generate(count, seed)):
        lines = problem.story.solution.splitlines()
        place = rng.randrange(len(lines))
        lines[place] = re.sub(r"(= |is )\d+", lambda m: f"{m[1]}{rng.randint(300, 999)}", lines[place])
        lines[-1] = f"Step {len(lines)}: {lines[-1]}"
        wrong = "\n".join(["Question:", problem.question.text, "", "Original Solution:", *lines])
        yield f"{wrong}\n\n{LEARN}\n{reply([Message('user', wrong)])}"
        wording = wordings[number % len(wordings)]
        yield f"\nExplanation: {wording}\nCorrect Solution:\n"
        yield f"\n{joined(WORDS[number % len(WORDS)], wording)} {RESTARTS[number % len(RESTARTS)]}\n"


def _drill(rng: Random, max_value: int) -> Lesson:
    """Calculations of which only the results are learned: which numbers come next is nothing to know."""
    spans = []
    for made in (calculation(rng, max_value) for _ in range(DRILL_LENGTH)):
        spans += [Span(f" {made.left} {made.symbol} {made.right} =", learn=False), Span(f" {made.result};")]
    return Lesson((Message("user", CALCULATE),), tuple(spans))


def _check(rng: Random, max_value: int) -> Lesson:
    """Claims, half of them slips of the kind that students make; only the judgements are learned."""
    spans = []
    for _ in range(DRILL_LENGTH):
        true = calculation(rng, max_value)
        claimed = slip(rng, true.result) if rng.random() < 0.5 else true.result
        judgement = " is right;" if claimed == true.result else f" is wrong, it is {true.result};"
        spans += [Span(f" {true.left} {true.symbol} {true.right} = {claimed}", learn=False), Span(judgement)]
    return Lesson((Message("user", CHECK),), tuple(spans))


def slip(rng: Random, value: int) -> int:
    """A result as somebody gets it who slips: a little off, or ten or a hundred."""
    off = rng.choice((1, 1, 2, 3, 5, 10, 10, 20, 100)) * rng.choice((-1, 1))
    return value + off if value + off >= 0 else value - off


def calculation(rng: Random, max_value: int, weights: Mapping[str, int] = WEIGHTS) -> Calculation:
    """A right calculation with numbers to `max_value`; `weights` say how often each operation comes."""
    symbol = rng.choices(list(weights), list(weights.values()))[0]
    if symbol in "+-":
        whole = rng.randint(3, max_value)
        part = rng.randint(1, whole - 1)
        return (
            Calculation(part, "+", whole - part, whole)
            if symbol == "+"
            else Calculation(whole, "-", part, whole - part)
        )
    factor = rng.randint(2, MAX_FACTOR)
    small = rng.randint(1, max_value // factor)
    big = small * factor
    return Calculation(small, "*", factor, big) if symbol == "*" else Calculation(big, "/", factor, small)
