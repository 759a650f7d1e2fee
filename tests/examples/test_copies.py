"""Copies and contamination: what counts as the same, and above all what does not."""

import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_run import count_words, make_config, make_graded, make_question, word

from lema_ray.examples import build_examples
from lema_ray.examples.contamination import TestQuestions
from lema_ray.examples.duplicates import NearCopies
from lema_ray.examples.words import words
from lema_ray.records import Dropped, GradedAttempt, GradedQuestion, TrainingExample
from lema_ray.runs import RunFolder

TEMPLATE = (
    "{name} runs a small bakery at the corner of the market square, next to the old fountain where children play. "
    "On Monday morning the bakery sells {a} loaves of bread before the church bells ring, and in the afternoon, when "
    "the workers come home from the mill on the river, it sells {b} loaves more. Every loaf is baked in the stone oven "
    "that was built by the grandfather of the present owner and has never been cold since. How many loaves are sold?"
    "\nIn the morning {a} and in the afternoon {b}, so {a} + {b} = {c}. The answer is {c}."
)


def fill(name: str, a: int, b: int) -> str:
    return TEMPLATE.format(name=name, a=a, b=b, c=a + b)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 999), st.integers(0, 999)), min_size=2, max_size=8, unique=True))
def test_one_template_with_other_numbers_is_another_problem(pairs: list[tuple[int, int]]) -> None:
    near = NearCopies(0.5)
    # The order of two summands makes no other problem, so it is left out here.
    distinct = {tuple(sorted(pair)): pair for pair in pairs}.values()
    assert [near.original_of(str(pair), fill("Anna", *pair)) for pair in distinct] == [None] * len(distinct)


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 99), st.integers(1, 99), st.sampled_from(["Bruno", "Carla", "Old Mr Dietrich"]))
def test_the_same_numbers_under_another_name_are_a_copy(a: int, b: int, name: str) -> None:
    near = NearCopies(0.9)
    assert near.original_of("first", fill("Anna", a, b)) is None
    assert near.original_of("second", fill(name, a, b)) == "first"


def test_number_words_are_numbers_and_threshold_is_a_similarity() -> None:
    near = NearCopies(0.9)
    assert near.original_of("two", fill("Anna", 3, 4) + " Two of them.") is None
    assert near.original_of("five", fill("Anna", 3, 4) + " Five of them.") is None
    assert near.original_of("reworded", " ".join(reversed(fill("Anna", 3, 4).split())) + " Two of them.") is None


def test_copies_are_dropped_with_what_they_copy(collected: Callable[..., RunFolder]) -> None:
    graded = make_graded(1)
    first, _, *others = graded.attempts
    wordy = replace(first.attempt, id="x", text="word " * 60 + first.attempt.text)
    near = replace(wordy, id="y", text=wordy.text + " indeed")
    rows = (GradedAttempt(wordy, first.grade), GradedAttempt(near, first.grade), *others)
    again = replace(graded, attempts=rows)
    run = collected([again, make_graded(2), make_graded(3), replace(again)])
    build_examples(make_config(cot=["right"], dev_fraction=0), run, count_words)
    dropped = list(run.read_records(Dropped, "examples", "dropped.parquet"))
    assert Counter(d.reason for d in dropped) == {"near_duplicate": 1, "duplicate": 4}
    kept = [row.id for row in run.read_records(TrainingExample, "examples", "lema", "train.parquet")]
    assert len(kept) == len(set(kept))
    assert all(d.detail.removeprefix("near copy of ") in kept for d in dropped if d.reason == "near_duplicate")


def test_a_question_that_quotes_the_test_set_is_left_out_with_all_its_rows(
    collected: Callable[..., RunFolder],
) -> None:
    quoting, clean = make_graded(1), make_graded(2)
    test = replace(make_question(9), text="Once upon a time: " + quoting.question.text[10:])
    short = replace(make_question(8), id="short", text="What is 2 + 2?")
    asked = replace(make_graded(3), question=replace(make_question(3), id="q3", text="what is 2+2"))
    run = collected([quoting, clean, asked], test=[test, short])
    card = build_examples(make_config(dev_fraction=0), run, count_words)
    rows = run.read_records(TrainingExample, "examples", "lema", "train.parquet")
    assert {row.question_id for row in rows} == {clean.question.id}
    dropped = list(run.read_records(Dropped, "examples", "dropped.parquet"))
    assert {d.reason for d in dropped} == {"contaminated"}
    assert any(test.id in d.detail for d in dropped) and any("short" in d.detail for d in dropped)
    assert sum(kinds["contaminated"] for kinds in card["dropped_in_build"].values()) == len(dropped)
    build_examples(make_config(dev_fraction=0, decontaminate_ngram=None), run, count_words)
    rows = run.read_records(TrainingExample, "examples", "lema", "train.parquet")
    assert len({row.question_id for row in rows}) == 3


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 60), st.integers(1, 40))
def test_contamination_is_a_shared_run_of_n_words(start: int, length: int) -> None:
    rng = random.Random(5)
    text = [word(rng) for _ in range(100)]
    tests = TestQuestions([replace(make_question(0), text=" ".join(text))], 13)
    quoting = replace(make_question(1), text=" ".join(["mine", *text[start : start + length], "yours"]))
    assert (tests.quoted_in(quoting) is not None) == (length >= 13)


def test_words_keep_numbers_whole() -> None:
    found = words("He paid $1,250.50 -- twice!\n48/2=24 (cañón)")
    assert " ".join(found) == "he paid 1250.50 - - twice 48 / 2 = 24 cañón"


@pytest.mark.timeout(280)
def test_ten_thousand_texts_of_one_template_take_less_than_half_a_minute() -> None:
    rng, near = random.Random(1), NearCopies(0.9)
    started = time.process_time()
    copies = sum(near.original_of(str(i), fill(word(rng), i, i % 7 * 1000)) is not None for i in range(10_000))
    assert copies == 0
    assert time.process_time() - started < 30


def test_graded_rows_of_made_up_questions_are_no_copies(collected: Callable[..., RunFolder]) -> None:
    rows: list[GradedQuestion] = [make_graded(n) for n in range(30)]
    card = build_examples(make_config(), collected(rows), count_words)
    assert card["dropped_in_build"] == {}
