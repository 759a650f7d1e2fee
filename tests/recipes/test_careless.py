"""Which mistakes are made on purpose follows the question's own and the data set's, and only types that can be made."""

from __future__ import annotations

import pytest

from lema_ray.few_shot.careless import CARELESS
from lema_ray.grading import grade
from lema_ray.mistakes.taxonomy import load_taxonomy
from lema_ray.recipes.careless import injection_prompt, type_shares
from lema_ray.records import Question
from lema_ray.steps import split_steps

LEMMA = load_taxonomy()
PRIOR = {"QM": 0.5, "CA": 0.3, "OP": 0.2}


def test_own_mistakes_and_prior_are_mixed_and_only_types_that_can_be_made_stay() -> None:
    shares = type_shares(["CA", "CA", "MS", "OP"], PRIOR, 0.5, LEMMA)
    raw = {"CA": 0.25 + 0.15, "MS": 0.125, "QM": 0.25}
    assert shares == pytest.approx({code: share / sum(raw.values()) for code, share in raw.items()})


def test_without_own_mistakes_the_prior_decides_and_without_any_nothing_is_made() -> None:
    assert type_shares([], PRIOR, 0.0, LEMMA) == pytest.approx({"QM": 0.625, "CA": 0.375})
    assert type_shares(["OP"], {"OP": 1.0}, 0.5, LEMMA) == {}
    assert type_shares(["CO"], PRIOR, 0.0, LEMMA) == {"CO": 1.0}


def test_every_type_that_can_be_made_has_worked_examples_with_the_step_they_name() -> None:
    assert set(CARELESS) == {t.code for t in LEMMA.types if t.inject}
    for examples in CARELESS.values():
        assert len(examples) == 2
        for one in examples:
            steps = split_steps(one.solution)
            assert 1 <= one.wrong_step < len(steps), "the answer follows the mistake"
            task = "math" if "$" in one.solution else "arithmetic"
            assert grade(one.solution, "-12345", task=task).verdict == "wrong", "it states an answer"


def test_the_prompt_names_the_type_and_ends_with_the_question() -> None:
    text = injection_prompt(Question("q", "How many?", "1", "t", solution="1"), LEMMA["CO"])[0].content
    assert "counting (items, days" in text and text.endswith("Reference Solution:\n1\n\nMistake To Make: counting")
