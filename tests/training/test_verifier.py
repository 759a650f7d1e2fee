"""A verifier: rows by question, scores against plain arithmetic, one-class data refused, and a real one trained."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from itertools import product
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lema_ray.config import EvaluatedPolicy, VerifierConfig
from lema_ray.models import ModelError
from lema_ray.records import Attempt, Completion, Grade, GradedAttempt, GradedQuestion, Question, content_id
from lema_ray.self_correction.held_out import models_for
from lema_ray.self_correction.trained_verifier import FILE, TrainedVerifier
from lema_ray.training.verifier_rows import VerifierError, claims, split_of
from lema_ray.training.verifier_scores import THRESHOLDS, area, area_interval, best_threshold, calibration

CONFIG = VerifierConfig(method="full", learning_rate=3e-3, epochs=4, batch_size=16)


async def unasked(messages: object, sampling: object) -> Completion:
    raise AssertionError("a trained verifier asks nobody")


def additions(count: int) -> list[GradedQuestion]:
    """Questions with a right attempt and one that gives itself away by a word, which any classifier can learn."""
    rng, rows = Random(0), []
    for a in range(1, count + 1):
        b = rng.randint(1, 99)
        text = f"What is {a}+{b}?"
        right = GradedAttempt(Attempt("r", f"{a}+{b}={a + b}\nThe answer is {a + b}.", "m"), Grade("right", "1"))
        wrong = GradedAttempt(Attempt("w", f"How many are left? {a}-{b}={a - b}", "m"), Grade("wrong", "1"))
        rows.append(GradedQuestion(Question(content_id(text), text, str(a + b), "s"), (right, wrong)))
    return rows


def test_questions_are_held_out_whole_and_only_students_own_finished_attempts_count() -> None:
    rows = additions(200)
    right, wrong = rows[0].attempts
    others = [
        GradedAttempt(replace(wrong.attempt, text="cut", finish_reason="length"), wrong.grade),
        GradedAttempt(replace(wrong.attempt, text="made", origin="injected"), wrong.grade),
        GradedAttempt(replace(wrong.attempt, text="unsure"), Grade("unsure", None)),
        GradedAttempt(replace(right.attempt, text=" "), right.grade),
        right,
    ]
    found = claims([replace(rows[0], attempts=(*rows[0].attempts, *others)), *rows[1:]], CONFIG, 3)
    assert sum(map(len, found.values())) == 2 * len(rows)
    for split, some in found.items():
        assert {split_of(claim.question_id, CONFIG, 3) for claim in some} == {split}
        assert sum(claim.wrong for claim in some) * 2 == len(some)
    assert 0.08 < len(found["dev"]) / 400 < 0.22 and 0.08 < len(found["test"]) / 400 < 0.22


@pytest.mark.parametrize("verdict", ["right", "wrong"])
def test_one_class_is_refused_with_what_to_do(verdict: str) -> None:
    rows = [
        replace(row, attempts=tuple(g for g in row.attempts if g.grade.verdict == verdict)) for row in additions(50)
    ]
    missing = "wrong" if verdict == "right" else "right"
    with pytest.raises(VerifierError, match=rf"no {missing} attempts among \d+ in the train part.*temperature"):
        claims(rows, CONFIG, 0)
    with pytest.raises(VerifierError, match="no attempts at all"):
        claims([], CONFIG, 0)


judged = st.lists(st.tuples(st.booleans(), st.integers(0, 20).map(lambda n: n / 20)), min_size=2, max_size=30).filter(
    lambda pairs: len({wrong for wrong, _ in pairs}) == 2
)


@given(judged)
def test_scores_are_what_they_say(pairs: list[tuple[bool, float]]) -> None:
    wrong, p = [w for w, _ in pairs], [q for _, q in pairs]
    sides = [q for w, q in pairs if w], [q for w, q in pairs if not w]
    wins = [1.0 if a > b else 0.5 if a == b else 0.0 for a, b in product(*sides)]
    assert area(wrong, p) == pytest.approx(sum(wins) / len(wins))
    hits = {t: sum((q >= t) == w for w, q in pairs) for t in THRESHOLDS}
    best = best_threshold(wrong, p)
    assert hits[best] == max(hits.values()) and all(hits[t] < hits[best] for t in THRESHOLDS if t > best)
    bins, error = calibration(wrong, p)
    assert sum(b.count for b in bins) == len(pairs) and 0 <= error <= 1


def test_an_interval_of_questions_holds_the_area() -> None:
    rng = Random(1)
    wrong = [rng.random() < 0.5 for _ in range(300)]
    p = [0.6 * w + 0.4 * rng.random() for w in wrong]
    low, high = area_interval(wrong, p, [f"q{at // 3}" for at in range(300)])
    assert 0.9 < low <= area(wrong, p) <= high <= 1


@pytest.mark.train
@pytest.mark.parametrize("method", ["full", "lora"])
def test_a_trained_one_tells_right_from_wrong_on_questions_it_has_not_seen(
    method: str, tiny_model: Path, tmp_path: Path
) -> None:
    from lema_ray.training.verifier import VerifierJob, train_verifier

    settings = CONFIG.model_copy(update={"method": method, "learning_rate": 3e-3 if method == "full" else 1e-2})
    rows = claims(additions(150), settings, 0)
    output = tmp_path / "verifier"
    told = train_verifier(VerifierJob(str(tiny_model), rows, settings, str(output), str(tmp_path), 0))
    assert told == json.loads((output / FILE).read_text())
    assert told["test"]["auc"] > 0.95 and told["threshold"] in THRESHOLDS
    verifier = TrainedVerifier(str(output))
    assert verifier.threshold == told["threshold"]

    async def probabilities() -> list[float | None]:
        some = rows["test"]
        return await asyncio.gather(*(verifier(c.question, c.solution, unasked) for c in some))

    p = asyncio.run(probabilities())
    wrong = [claim.wrong for claim in rows["test"]]
    assert area(wrong, [q for q in p if q is not None]) == pytest.approx(told["test"]["auc"], abs=1e-3)


async def test_a_policy_takes_the_verifier_of_a_folder_and_its_threshold(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text('{"threshold": 0.8, "max_length": 64}')
    question = additions(1)[0].question
    policy = EvaluatedPolicy(policy="verify", verifier=str(tmp_path))
    models = models_for(policy, question, unasked)
    assert isinstance(models.verifier, TrainedVerifier) and models.threshold == 0.8
    # There are no weights: whoever waits hears of it.
    asked = await asyncio.gather(
        *(models.verifier("How many?", "3", unasked) for _ in range(3)), return_exceptions=True
    )
    assert [type(one) for one in asked] == [ModelError] * 3


def test_a_folder_that_is_no_verifier_is_refused(tmp_path: Path, tiny_model: Path) -> None:
    with pytest.raises(ModelError, match="lema train-verifier"):
        TrainedVerifier(str(tiny_model))
    (tmp_path / FILE).write_text('{"threshold": "high"}')
    with pytest.raises(ModelError, match="no threshold"):
        TrainedVerifier(str(tmp_path))
