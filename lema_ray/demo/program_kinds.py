"""The kinds of programming problems: text and program with numbers to fill in, and arguments that lie near them.

Data for `program_problems`. The programs are written so that a small slip changes what they do only near a border.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

Arguments = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind; `numbers` are the bounds that its numbers are drawn from."""

    name: str
    text: str
    program: str
    numbers: dict[str, tuple[int, int]]
    arguments: Callable[[Random, dict[str, int]], Arguments]


def _near(rng: Random, *borders: int) -> int:
    return max(0, rng.choice(borders) + rng.choice((-2, -1, 0, 0, 1, 5)))


def _numbers(rng: Random, *borders: int) -> list[int]:
    return [_near(rng, *borders) for _ in range(rng.randint(0, 6))]


def _text(rng: Random) -> str:
    return "".join(rng.choice("abcxyz  ") for _ in range(rng.randint(0, 12)))


KINDS = (
    Kind(
        "sum_between",
        "Write a function `sum_between(numbers)` that returns the sum of those numbers that are at least {low} and "
        "less than {high}.",
        "def sum_between(numbers):\n"
        "    total = 0\n"
        "    for number in numbers:\n"
        "        if number >= {low} and number < {high}:\n"
        "            total += number\n"
        "    return total",
        {"low": (2, 9), "high": (12, 30)},
        lambda rng, n: (_numbers(rng, n["low"], n["high"]),),
    ),
    Kind(
        "price",
        "Write a function `price(pieces)` that returns the price of so many pieces: {each} each up to {border} pieces, "
        "and {less} for each piece beyond these.",
        "def price(pieces):\n"
        "    if pieces <= {border}:\n"
        "        return pieces * {each}\n"
        "    return {border} * {each} + (pieces - {border}) * {less}",
        {"each": (6, 9), "border": (5, 20), "less": (2, 5)},
        lambda rng, n: (_near(rng, 0, n["border"], 2 * n["border"]),),
    ),
    Kind(
        "halvings",
        "Write a function `halvings(number)` that returns how often a number can be divided by {factor}, without the "
        "rest, until it is less than {border}.",
        "def halvings(number):\n"
        "    count = 0\n"
        "    while number >= {border}:\n"
        "        number = number // {factor}\n"
        "        count += 1\n"
        "    return count",
        {"factor": (2, 5), "border": (2, 12)},
        lambda rng, n: (_near(rng, 0, n["border"], n["border"] * n["factor"], 1000),),
    ),
    Kind(
        "long_words",
        "Write a function `long_words(text)` that returns how many words of a text have more than {length} letters.",
        "def long_words(text):\n"
        "    count = 0\n"
        "    for word in text.split():\n"
        "        if len(word) > {length}:\n"
        "            count += 1\n"
        "    return count",
        {"length": (1, 8)},
        lambda rng, n: (" ".join("w" * _near(rng, n["length"]) for _ in range(rng.randint(0, 5))),),
    ),
    Kind(
        "best_run",
        "Write a function `best_run(numbers)` that returns the largest sum of {length} neighbours in a list, and 0 for "
        "a shorter list.",
        "def best_run(numbers):\n"
        "    if len(numbers) < {length}:\n"
        "        return 0\n"
        "    best = sum(numbers[:{length}])\n"
        "    for start in range(1, len(numbers) - {length} + 1):\n"
        "        best = max(best, sum(numbers[start : start + {length}]))\n"
        "    return best",
        {"length": (2, 5)},
        lambda rng, n: ([rng.randint(-5, 9) for _ in range(_near(rng, n["length"], n["length"] + 2))],),
    ),
    Kind(
        "shifted",
        "Write a function `shifted(text)` that moves each letter from a to z on by {places} places, from z on to a, "
        "and keeps all else.",
        "def shifted(text):\n"
        "    out = ''\n"
        "    for mark in text:\n"
        "        if 'a' <= mark and mark <= 'z':\n"
        "            mark = chr((ord(mark) - 97 + {places}) % 26 + 97)\n"
        "        out += mark\n"
        "    return out",
        {"places": (1, 25)},
        lambda rng, n: (_text(rng),),
    ),
    Kind(
        "every",
        "Write a function `every(items)` that returns every {step}th item of a list, beginning with item number "
        "{first} (the first item has number 0).",
        "def every(items):\n"
        "    chosen = []\n"
        "    at = {first}\n"
        "    while at < len(items):\n"
        "        chosen.append(items[at])\n"
        "        at += {step}\n"
        "    return chosen",
        {"step": (4, 7), "first": (0, 3)},
        lambda rng, n: (list(range(_near(rng, n["first"], n["first"] + n["step"], 12))),),
    ),
    Kind(
        "pairs",
        "Write a function `pairs(numbers)` that returns how many pairs of places in a list hold numbers whose "
        "difference is at most {most}.",
        "def pairs(numbers):\n"
        "    count = 0\n"
        "    for i in range(len(numbers)):\n"
        "        for j in range(i + 1, len(numbers)):\n"
        "            if abs(numbers[i] - numbers[j]) <= {most}:\n"
        "                count += 1\n"
        "    return count",
        {"most": (0, 9)},
        lambda rng, n: (_numbers(rng, 0, n["most"], 2 * n["most"]),),
    ),
    Kind(
        "mark",
        "Write a function `mark(points)` that returns 'A' from {best} points on, 'B' from {pass_at} points on, and 'C' "
        "for less.",
        "def mark(points):\n"
        "    if points >= {best}:\n"
        "        return 'A'\n"
        "    if points >= {pass_at}:\n"
        "        return 'B'\n"
        "    return 'C'",
        {"best": (70, 95), "pass_at": (40, 60)},
        lambda rng, n: (_near(rng, n["best"], n["pass_at"], 0, 100),),
    ),
    Kind(
        "digits",
        "Write a function `digits(number)` that returns the sum of those digits of a whole number that are larger than "
        "{digit}, times {factor}.",
        "def digits(number):\n"
        "    total = 0\n"
        "    while number > 0:\n"
        "        digit = number % 10\n"
        "        if digit > {digit}:\n"
        "            total += digit\n"
        "        number = number // 10\n"
        "    return total * {factor}",
        {"digit": (1, 7), "factor": (2, 6)},
        lambda rng, n: (rng.choice((0, n["digit"], 10 * n["digit"] + 1, rng.randint(1, 99_999))),),
    ),
)
