"""Runs compared: paired differences with Holm, what changed question by question, one page and two CSV files."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from made_run import make_run

from lema_ray import statistics
from lema_ray.config import ConfigError
from lema_ray.evaluation.compare_runs import compare_runs, lines, write_comparison
from lema_ray.evaluation.scores import compare
from lema_ray.evaluation.tally import MAX_GROUPS, Groups, tally
from lema_ray.records import GradedQuestion
from lema_ray.runs import RunFolder


def test_two_runs_side_by_side(tmp_path: Path) -> None:
    for name in ("first", "second"):
        make_run(str(tmp_path / name), questions=4, held_out=200)
    found = compare_runs([str(tmp_path / "first"), str(tmp_path / "second")])
    assert {s.model for s in found.scores} == {f"{r}/{m}" for r in ("first", "second") for m in ("base", "cot", "lema")}
    assert len(found.comparisons) == 2 * 15 and not found.unpaired
    assert all(c.p_holm is not None and c.p_holm >= c.p_value for c in found.comparisons)
    same = next(c for c in found.comparisons if (c.baseline, c.model) == ("first/base", "second/base"))
    assert (same.difference, same.wins, same.losses, same.significant) == (0, 0, 0, False)
    run = RunFolder(str(tmp_path / "first"))
    rows = [list(run.read_records(GradedQuestion, "evaluations", f"{m}--greedy.parquet")) for m in ("base", "lema")]
    gained = {b.question.text for a, b in zip(*rows, strict=True) if len(b.right) > len(a.right)}
    shown = found.changes["first/base", "first/lema", "greedy"]["better"]
    assert shown and {one.question for one in shown} <= gained
    assert any("more than chance" in line for line in lines(found))
    page = Path(write_comparison(found, str(tmp_path / "out"))).read_text()
    assert "second/lema" in page and "<script" not in page and "https://" not in page
    with (tmp_path / "out" / "scores.csv").open() as file:
        assert len(list(csv.DictReader(file))) == len(found.scores)


def test_runs_on_other_questions_are_not_paired(tmp_path: Path) -> None:
    make_run(str(tmp_path / "a"), questions=4, held_out=60)
    make_run(str(tmp_path / "b"), questions=4, held_out=61)
    found = compare_runs([str(tmp_path / "a"), str(tmp_path / "b")])
    assert len(found.comparisons) == 2 * 6 and len(found.unpaired) == 2 * 9
    assert "evaluate both on the same questions" in found.unpaired[0]
    with pytest.raises(ConfigError, match="no evaluations"):
        compare_runs([str(tmp_path)])


def test_majorities_modes_and_types_are_scored(tmp_path: Path) -> None:
    run = make_run(str(tmp_path / "a"), questions=4, held_out=80)
    rows = list(run.read_records(GradedQuestion, "evaluations", "lema--T=0.7.parquet"))
    counts = tally(rows, ("gsm8k_flexible", "gsm8k_strict"))
    assert set(counts.majorities) == {2, 4} and counts.right_by_mode["gsm8k_strict"] == 0
    assert counts.right_by_mode["gsm8k_flexible"] > 0
    assert compare("a", "b", "T", counts, tally(reversed(rows))).difference == 0


def test_holm_against_a_worked_example() -> None:
    assert statistics.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert statistics.holm([]) == []


@pytest.mark.parametrize(
    ("classes", "right", "k", "share"),
    [
        ([0, 0, 1], [0], 3, 1.0),
        ([0, 1, 1], [0], 3, 0.0),
        ([0, 1], [0], 2, 1.0),
        ([None, None, 0], [0], 3, 1.0),
        ([None, None], [], 2, 0.0),
        ([0, 0], [0], 1, 1.0),
    ],
)
def test_majority_of_votes(classes: list[int | None], right: list[int], k: int, share: float) -> None:
    assert statistics.majority_at_k(classes, right, k) == share


def test_majority_of_fewer_averages_over_subsets() -> None:
    assert statistics.majority_at_k([0, 0, 0, 1], [1], 1) == pytest.approx(0.25, abs=0.15)
    with pytest.raises(ValueError, match="maj@5"):
        statistics.majority_at_k([0, 1], [0], 5)


def test_groups_stay_small() -> None:
    groups = Groups()
    for number in range(3 * MAX_GROUPS):
        groups.add(str(number))
    groups.add(None)
    assert len(groups.names) == MAX_GROUPS + 1 and groups.numbers[-1] == 0
