"""A small collected run made up here: questions with sums in them, right and wrong attempts, LeMa corrections."""

from __future__ import annotations

import random
from typing import Any

from lema_ray.config import RunConfig, parse_config
from lema_ray.records import Attempt, Correction, Grade, GradedAttempt, GradedQuestion, Question, content_id

SYLLABLES = ("ba", "ce", "di", "fo", "gu", "la", "me", "ni", "ro", "su", "ta", "ve", "wi", "po", "ku", "ra", "se")


def word(rng: random.Random) -> str:
    return "".join(rng.choices(SYLLABLES, k=3))


def make_question(number: int, source: str = "made_up") -> Question:
    rng = random.Random(number)
    a, b, c = rng.randint(2, 99), rng.randint(2, 99), rng.randint(2, 99)
    filler = " ".join(word(rng) for _ in range(12))
    text = f"Question {number}: {word(rng)} has {a} {word(rng)}, {filler}, gets {b} and then {c} more. How many now?"
    solution = f"{a}+{b}={a + b}\n{a + b}+{c}={a + b + c}\nThe answer is {a + b + c}"
    return Question(content_id(text), text, str(a + b + c), source, solution=solution)


def make_graded(number: int, mistakes: int = 2, source: str = "made_up") -> GradedQuestion:
    question = make_question(number, source)
    steps = (question.solution or "").splitlines()
    rng = random.Random(-number - 1)
    attempts, corrections = [], []
    for k in range(2):
        text = f"First, {' '.join(word(rng) for _ in range(12))}.\n{question.solution}"
        attempts.append(GradedAttempt(Attempt(f"{question.id}/r{k}", text, "student"), Grade("right", "1")))
    for k in range(mistakes):
        wrong = "\n".join(
            [f"{word(rng)} {word(rng)} {steps[0]}", f"It makes {rng.randint(300, 900)}", "The answer is 0"]
        )
        attempt = Attempt(f"{question.id}/w{k}", wrong, "student")
        attempts.append(GradedAttempt(attempt, Grade("wrong", "0")))
        fields = {
            "incorrect_step": "Step 2",
            "explanation": f"The sum is off because {word(rng)} {word(rng)} was forgotten.",
            "correct_solution": f"...\nStep 2: {steps[1]}\nStep 3: {steps[2]}",
        }
        corrections.append(
            Correction(
                id=content_id(attempt.id, "corrected"),
                recipe="lema",
                attempt_id=attempt.id,
                explanation=fields["explanation"],
                revision="\n".join((wrong.splitlines()[0], steps[1], steps[2])),
                wrong_step=1,
                fields=fields,
                model="corrector",
            )
        )
    return GradedQuestion(question, tuple(attempts), tuple(corrections))


def make_config(**build: Any) -> RunConfig:
    scripted = {"engine": {"type": "scripted"}}
    return parse_config(
        {
            "name": "made-up",
            "questions": {"train": {"source": "files", "path": "x"}},
            "students": [scripted],
            "corrector": scripted,
            "build": build,
        }
    )


def count_words(text: str) -> int:
    return len(text.split())
