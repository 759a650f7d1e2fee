"""What the equality tests and their workers share: pairs with stretches that are not learned, and the trainings."""

from __future__ import annotations

import os
import random
from typing import Any

from lema_ray.records import Message, Span, TrainingExample

WORKERS = int(os.environ.get("LEMA_EQUALITY_WORKERS", "2"))
DEEPSPEED = tuple(os.environ.get("LEMA_EQUALITY_DEEPSPEED", "zero2 zero3").split())
PER_WORKER, STEPS, RATE, DECAY, SEED = 2, 6, 1e-3, 1.0, 5
SAVED, GO_ON = 3, ("sft-full", "dpo-lora")
"""After this step all have a checkpoint, and these kinds go on from it with one worker."""
ROWS = WORKERS * PER_WORKER * STEPS
KINDS: dict[str, dict[str, Any]] = {
    "sft-full": {"objective": "sft"},
    "sft-lora": {"objective": "sft", "method": "lora"},
    "dpo-full": {"objective": "dpo"},
    "dpo-lora": {"objective": "dpo", "method": "lora"},
    "packed": {"objective": "sft", "packing": True, "max_length": 120},
}


def examples() -> list[TrainingExample]:
    """Pairs whose answers share a beginning that neither learns; the rejected one ends unfinished now and then."""
    return [_example(number, random.Random(number)) for number in range(ROWS)]


def _example(number: int, chance: random.Random) -> TrainingExample:
    a, b = chance.randrange(2, 99), chance.randrange(2, 99)
    prompt = (Message("user", "Tom has " + f"{a} apples and " * chance.randrange(1, 4) + f"buys {b} more."),)
    start, wrong = Span(f"Step 1: {a}+{b}\n", False), Span(f"3-2=1\nThe answer is {a}.")
    rejected = (start, wrong, Span("", False)) if number % 3 == 0 else (start, wrong)
    target = (start, Span(f"={a + b}\n"), Span("3-2=1\n", False), Span(f"The answer is {a + b}."))
    return TrainingExample(f"row-{number}", prompt, target, "cot", f"q{number}", rejected=rejected)
