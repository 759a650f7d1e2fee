"""Counts by model, source and level, shares with intervals, unknown labels listed, and models told apart."""

import json

from lema_ray.mistakes.distribution import count_distribution, to_json, to_markdown
from lema_ray.mistakes.taxonomy import load_taxonomy
from lema_ray.records import Analysis, Attempt, Dropped, Grade, GradedAttempt, GradedQuestion, Question


def row(number: int, model: str, code: str | None, label: str = "", level: str = "1") -> GradedQuestion:
    question = Question(f"q{number}", "?", "1", "school", level=level)
    attempts = (
        GradedAttempt(Attempt("a", "x", model), Grade("wrong" if code else "right", "2")),
        GradedAttempt(Attempt("i", "x", "teacher", origin="injected"), Grade("wrong", "2")),
    )
    analyses = (Analysis("a", number % 3, code, label),) if code else ()
    return GradedQuestion(question, attempts, analyses=(*analyses, Analysis("i", 0, "CO")))


ROWS = [
    *(row(i, "small", "CA") for i in range(30)),
    *(row(i, "small", "QM", level="2") for i in range(10)),
    *(row(i, "small", None) for i in range(40)),
    *(row(i, "large", "QM") for i in range(20)),
    row(0, "large", "other", "haste"),
]


def test_shares_and_rates_by_model_source_and_level() -> None:
    data = to_json(count_distribution(ROWS), load_taxonomy())
    small = {s["error_type"]: s for s in data["shares"]["model"] if s["group"] == "small"}
    assert (small["CA"]["count"], small["CA"]["mistakes"], small["CA"]["share"]) == (30, 40, 0.75)
    assert small["CA"]["low"] < 0.75 < small["CA"]["high"] and small["CA"]["rate"] == 30 / 80
    assert sum(s["share"] for s in small.values()) == 1 and small["CO"]["count"] == 0
    assert {s["group"] for s in data["shares"]["level"]} == {"1", "2"}
    assert sum(s["count"] for s in data["shares"]["source"]) == 61
    assert data["unknown_labels"] == {"haste": 1}
    assert data["differ_p"][0]["models"] == ("large", "small") and data["differ_p"][0]["p_value"] < 1e-6
    assert data["spent"] == {"requests": 162, "tokens": 0, "cost": 0.0}
    assert json.loads(json.dumps(data))


def test_the_page_shows_every_part() -> None:
    failed = GradedQuestion(ROWS[0].question, ROWS[0].attempts, drops=(Dropped("analysis", "a", "called_right"),))
    text = to_markdown(to_json(count_distribution([*ROWS, failed]), load_taxonomy()))
    assert "| CA | 0.0% (0; 0.0) | 75.0% (30; 37.0) |" in text
    assert "small: called_right 1" in text and "haste: 1" in text and "| mistakes | 21 | 40 |" in text


def test_nothing_to_count_is_no_error() -> None:
    data = to_json(count_distribution([]), load_taxonomy())
    assert data["shares"]["model"] == [] and "Error types" in to_markdown(data)
