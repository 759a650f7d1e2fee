"""Against real data: the hand-written cases, real model solutions with verdicts, and gold solutions."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lema_ray.grading import GradingPool
from lema_ray.records import Question, Task

pytestmark = pytest.mark.shared_data


@pytest.fixture(scope="module")
def pool() -> Iterator[GradingPool]:
    with GradingPool(timeout_s=10, processes=1) as pool:
        yield pool


def rows(shared_data: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (shared_data / f"{name}.jsonl").open(encoding="utf-8")]


def item(text: str, reference: str, task: Task = "arithmetic") -> tuple[str, Question]:
    return text, Question("", "", reference, "", task)


def test_the_hand_written_cases_without_a_false_acceptance(shared_data: Path, pool: GradingPool) -> None:
    cases = rows(shared_data, "grader_cases")
    items = []
    for case in cases:
        made = case.get("prediction_gen")
        text = made["head"] + made["unit"] * made["n"] + made["tail"] if made else case["prediction_text"]
        items.append(item(text, case["reference"], "choice" if case["category"] == "multiple_choice" else "math"))
    grades = pool.grade_all(items)
    failures = [
        (case["id"], case["category"], grade)
        for case, grade in zip(cases, grades, strict=True)
        if (grade.verdict == "right") != case["expected"]
    ]
    assert not failures
    unsure = {case["category"] for case, grade in zip(cases, grades, strict=True) if grade.verdict == "unsure"}
    assert unsure <= {"hostile", "no_answer"}


def test_agreement_with_every_verdict_on_real_model_solutions(shared_data: Path, pool: GradingPool) -> None:
    solutions = rows(shared_data, "gsm8k_model_solutions_a")
    grades = pool.grade_all([item(row["solution"], row["reference"]) for row in solutions])
    disagreements = [
        (row["id"], grade)
        for row, grade in zip(solutions, grades, strict=True)
        if grade.verdict != ("right" if row["is_correct"] else "wrong")
    ]
    assert len(solutions) == 2640 and not disagreements


def test_gold_solutions_are_right_against_their_own_answers(shared_data: Path, pool: GradingPool) -> None:
    gsm8k = random.Random(0).sample(rows(shared_data, "gsm8k_train"), 500)
    math = rows(shared_data, "math500_a")
    items = [item(row["solution"], row["answer"]) for row in gsm8k]
    items += [item(row["solution"], row["answer"], "math") for row in math]
    assert [
        (q.reference, g) for (_, q), g in zip(items, pool.grade_all(items), strict=True) if g.verdict != "right"
    ] == []


def test_another_problems_answer_is_never_right(shared_data: Path, pool: GradingPool) -> None:
    math = rows(shared_data, "math500_a")
    swapped = [
        item(row["solution"], other["answer"], "math")
        for row, other in zip(math, math[7:] + math[:7], strict=True)
        if row["answer"] != other["answer"]
    ]
    grades = pool.grade_all(swapped)
    assert [g for g in grades if g.verdict == "right"] == []
    assert sum(g.verdict == "unsure" for g in grades) <= 2  # a choice wanted, none named
