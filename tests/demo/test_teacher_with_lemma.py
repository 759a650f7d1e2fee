"""What the LEMMA recipe asks is what the rule-based teacher understands, and mistakes made by rule are found by it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from random import Random

import pytest

from lema_ray.config import RecipeConfig
from lema_ray.demo.erring import MAKERS, err
from lema_ray.demo.rules import reply
from lema_ray.demo.word_problems import generate
from lema_ray.grading import grade
from lema_ray.mistakes.analysis import Analyzer
from lema_ray.recipes.lemma import Lemma
from lema_ray.records import (
    Analysis,
    Attempt,
    Completion,
    Dropped,
    Grade,
    GradedAttempt,
    GradedQuestion,
    Message,
    Sampling,
)
from lema_ray.self_correction.doubts import find_doubts
from lema_ray.steps import split_steps


def teacher(as_json: bool):
    async def answer(messages: Sequence[Message], sampling: Sampling) -> Completion:
        return Completion(reply(messages, as_json), "stop", "teacher", 1, 1)

    return answer


def mistaken(count: int, seed: int = 0) -> list[tuple[str, int, GradedQuestion]]:
    """(type, wrong step, question with that mistake), of every type in turn."""
    rng, made = Random(seed), []
    kinds = list(MAKERS)
    for problem in generate(count, seed + 5, min_steps=2):
        kind = kinds[len(made) % len(kinds)]
        if found := err(problem.story, kind, rng):
            attempt = GradedAttempt(Attempt("a", found.solution, "student"), Grade("wrong", None))
            made.append((kind, found.step - 1, GradedQuestion(problem.question, (attempt,))))
    return made


@pytest.mark.parametrize("kind", MAKERS)
def test_mistakes_of_each_type_are_wrong_and_follow_from_their_step(kind: str) -> None:
    rng, seen = Random(1), 0
    for problem in generate(60, 3, min_steps=2):
        made = err(problem.story, kind, rng)
        if made is None:
            continue
        seen += 1
        assert grade(made.solution, problem.question.reference).verdict == "wrong"
        right = problem.question.solution.splitlines()
        assert made.solution.splitlines()[: made.step - 1] == right[: made.step - 1]
        assert made.solution.splitlines()[made.step - 1] != right[made.step - 1]
    assert seen > 20


@pytest.mark.parametrize("as_json", [False, True])
async def test_the_teacher_finds_the_step_of_nearly_every_mistake_made_by_rule(as_json: bool) -> None:
    hits, types = Counter[str](), Counter[str]()
    rows = mistaken(150)
    for kind, wrong, row in rows:
        steps = split_steps(row.attempts[0].attempt.text)
        found = await Analyzer().analyze(row.question, "a", steps, teacher(as_json))
        assert isinstance(found, Analysis), found
        hits[kind] += found.wrong_step == wrong
        types[f"{kind}: {found.error_type}"] += 1
    assert sum(hits.values()) / len(rows) > 0.95
    assert types["calculation: CA"] > 20 and types["missing step: MS"] > 10


@pytest.mark.parametrize("as_json", [False, True])
async def test_both_corrections_smoothing_and_injection_pass_all_checks(as_json: bool) -> None:
    recipe = Lemma(RecipeConfig(name="lemma", options={"inject": 2, "several": 0}))
    drops, strategies = Counter[tuple[str, str]](), Counter[str]()
    for _, _, row in mistaken(60):
        outcome = await recipe.correct(row, teacher(as_json), None)
        drops.update((d.stage, d.reason) for d in outcome.drops)
        whole = GradedQuestion(row.question, row.attempts + outcome.attempts, outcome.corrections)
        for correction in outcome.corrections:
            strategies[correction.strategy or ""] += 1
            (example,) = recipe.to_examples(whole, correction)
            assert grade(example.target_text, row.question.reference).verdict == "right"
            said = [d for d in find_doubts(example.target_text) if d.kind == "said"]
            assert len(said) == 1
    assert not {key for key in drops if key[0] in ("analysis", "corrections", "smoothing")}, drops
    assert strategies["fix"] == strategies["fresh"] > 80


async def test_it_says_so_when_there_is_no_mistake_and_when_it_cannot_make_one() -> None:
    problem = next(generate(1, 9))
    steps = split_steps(problem.question.solution or "")
    found = await Analyzer().analyze(problem.question, "a", steps, teacher(False))
    assert isinstance(found, Dropped) and found.reason == "called_right"
    assert err(problem.story, "formula confusion", Random(0)) is None
