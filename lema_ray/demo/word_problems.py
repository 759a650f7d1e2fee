"""Word problems made by rule: stories of 1 to 4 chained operations with sentences that do not matter.

`questions` takes them as the source `word_problems`; `base_model` trains on them. The same seed and options give the
same questions everywhere, and two seeds can be told apart by question id.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from random import Random

from lema_ray.demo import marks
from lema_ray.demo.grammar import CHANGES, DISTRACTIONS, ENDINGS, OPENINGS, Calculation, Change, Story, Template
from lema_ray.records import Question, content_id

# fmt: off
NAMES = (
    "Ana", "Ben", "Carla", "Dario", "Elif", "Farid", "Greta", "Hugo", "Ines", "Jonas",
    "Kira", "Liam", "Mina", "Noah", "Olga", "Paul", "Rosa", "Sami", "Tara", "Viktor",
)
THINGS = (
    "marbles", "stamps", "apples", "coins", "shells", "stickers", "pencils", "cards", "beads", "buttons",
    "cookies", "balloons", "postcards", "ribbons", "pebbles", "candles",
    "toy cars", "comic books", "paper boats", "glass balls",
)
# fmt: on
WEIGHTS = {"+": 4, "-": 4, "*": 2, "/": 2}
MAX_FACTOR = 6
MAX_VALUE = 99


@dataclass(frozen=True, slots=True)
class WordProblem:
    """A question and the structured story behind it."""

    question: Question
    story: Story


def generate(
    count: int,
    seed: int,
    *,
    min_steps: int = 1,
    max_steps: int = 4,
    max_value: int = MAX_VALUE,
    distractions: float = 0.5,
    operations: str = "+-*/",
    marked: bool = False,
) -> Iterator[WordProblem]:
    """`count` different word problems. `distractions` is the chance that a story has a sentence that does not matter.

    With `marked` each step of a worked solution is checked by its inverse (`marks`). Raises `ValueError` for settings
    that cannot be met.
    """
    _check(min_steps, max_steps, max_value, operations)
    rng, seen = Random(f"word problems {seed}"), set[str]()
    for _ in range(count * 20):
        if len(seen) == count:
            return
        problem = _problem(rng, rng.randint(min_steps, max_steps), max_value, distractions, operations)
        if problem.question.id not in seen:
            seen.add(problem.question.id)
            yield _with_marks(problem) if marked else problem
    if len(seen) < count:
        raise ValueError(
            f"word_problems: found only {len(seen)} different questions of {count}; raise max_value or max_steps"
        )


def _with_marks(problem: WordProblem) -> WordProblem:
    return replace(problem, question=replace(problem.question, solution=marks.marked(problem.story.solution)))


def _check(min_steps: int, max_steps: int, max_value: int, operations: str) -> None:
    if not 1 <= min_steps <= max_steps:
        raise ValueError(f"word_problems: need 1 <= min_steps <= max_steps, got {min_steps} and {max_steps}")
    if max_value < 20:
        raise ValueError(f"word_problems: max_value must be at least 20, got {max_value}")
    if not {"+", "-"} <= set(operations) <= WEIGHTS.keys():
        raise ValueError(f"word_problems: operations must be + and - and may be * and /, got {operations!r}")


def _problem(rng: Random, steps: int, max_value: int, distractions: float, operations: str) -> WordProblem:
    name, other = rng.sample(NAMES, 2)
    slots = {"name": name, "who": name, "other": other, "things": rng.choice(THINGS)}
    start = rng.randint(10, max_value // 2)
    changes = _changes(rng, start, steps, max_value, operations, slots)
    sentences = [change.sentence for change in changes]
    extra = rng.choice(DISTRACTIONS).format(**slots, n=rng.randint(2, 99)) if rng.random() < distractions else None
    if extra:
        sentences.insert(rng.randint(0, steps), extra)
    opening = rng.choice(OPENINGS).format(**slots, n=start)
    text = " ".join([opening, *sentences, rng.choice(ENDINGS).format(**slots)])
    story = Story(name, slots["things"], start, tuple(changes), (extra,) if extra else ())
    return WordProblem(_question(text, story), story)


def _question(text: str, story: Story) -> Question:
    return Question(
        id=content_id(text),
        text=text,
        reference=str(story.answer),
        source="word_problems",
        task="arithmetic",
        solution=story.solution,
        level=str(len(story.changes)),
        reviewed=True,  # the reference is computed
    )


def _changes(
    rng: Random, value: int, steps: int, max_value: int, operations: str, slots: dict[str, str]
) -> list[Change]:
    changes = []
    for _ in range(steps):
        template, operand = _choose(rng, value, max_value, operations)
        sentence = template.sentence.format(**slots, n=operand)
        changes.append(Change(template.symbol, operand, sentence, template.phrase.format(**slots, n=operand)))
        result = Calculation(value, template.symbol, operand, 0).true_result
        assert result is not None
        value = result
    return changes


def _choose(rng: Random, value: int, max_value: int, operations: str) -> tuple[Template, int]:
    operands = {symbol: _operands(symbol, value, max_value) for symbol in operations}
    possible = [symbol for symbol in operations if operands[symbol]]
    symbol = rng.choices(possible, [WEIGHTS[s] for s in possible])[0]
    fitting = [t for t in CHANGES if t.symbol == symbol and (t.fixed is None or t.fixed in operands[symbol])]
    template = rng.choice(fitting)
    return template, template.fixed or rng.choice(operands[symbol])


def _operands(symbol: str, value: int, max_value: int) -> range | list[int]:
    if symbol == "+":
        return range(2, max_value - value + 1)
    if symbol == "-":
        return range(2, value)
    factors = range(2, MAX_FACTOR + 1)
    if symbol == "*":
        return [f for f in factors if value * f <= max_value]
    return [f for f in factors if value % f == 0]
