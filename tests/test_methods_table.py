"""The arms of a run beside one another: shares over seeds, differences, and what each method's rows cost."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from made_run import make_run
from typer.testing import CliRunner

from lema_ray.cli.app import app
from lema_ray.config import ConfigError
from lema_ray.evaluation.scores import read_model_scores, read_scores, score_run
from lema_ray.records import GradedQuestion, RecipeSpend
from lema_ray.report.methods import methods, read_requests
from lema_ray.report.methods_table import HEAD, markdown
from lema_ray.report.page import render
from lema_ray.runs import RunFolder
from lema_ray.statistics import seeds_interval


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """Two arms of two seeds, of which the second answers like the other arm; three corrector calls a question."""
    run = make_run(str(tmp_path_factory.mktemp("methods")), questions=20, held_out=60)
    config = yaml.safe_load(run.read_text("config.yaml"))
    config["build"] = {"arms": {"cot": {"rows": ["cot"]}, "lema": {"rows": ["cot", "corrections"], "match": "cot"}}}
    run.write_text(yaml.safe_dump(config), "config.yaml")
    run.write_json(
        run.read_json("examples", "card.json") | {"candidates": {"corrections": 15}}, "examples", "card.json"
    )
    rows = [row for row in run.read_records(GradedQuestion, "collected")]
    spent = (RecipeSpend("lema", "corrector", 3, 30, 9, 0.5), RecipeSpend("other", "corrector", 40, 0, 0, 9.0))
    asked = [GradedQuestion(r.question, r.attempts, r.corrections, r.drops, spent=spent) for r in rows]
    run.write_records(asked, GradedQuestion, "collected", "part-0.parquet")
    for arm, other in (("cot", "lema"), ("lema", "cot")):
        answers = list(run.read_records(GradedQuestion, "evaluations", f"{other}--greedy.parquet"))
        run.write_records(answers, GradedQuestion, "evaluations", f"{arm}-seed1--greedy.parquet")
    models = {"base": "base", "cot": "cot", "lema": "lema", "cot-seed1": "cot", "lema-seed1": "lema"}
    score_run(run, list(models), ["greedy"], arms=models)
    return run


def test_shares_are_means_over_seeds_and_costs_are_by_accepted_row(run: RunFolder) -> None:
    base, cot, lema = methods(run, read_requests(run))
    scores, _ = read_scores(run)
    shown = [one.shares["final_accuracy"][0] for one in (base, cot, lema)]
    assert shown == pytest.approx([s.pass_at_1 for s in scores])
    assert (base.seeds, lema.seeds, base.made, cot.made) == (1, 2, None, None)
    assert cot.shares["final_accuracy"] == pytest.approx(lema.shares["final_accuracy"])
    seeds = [s.pass_at_1 for s in read_model_scores(run) if s.model.startswith("lema")]
    low, high = seeds_interval(seeds)
    assert lema.shares["final_accuracy"] == pytest.approx((sum(seeds) / 2, max(low, 0), min(high, 1)))
    assert lema.against is not None and lema.against.difference == pytest.approx(0) and cot.against is None
    assert lema.made is not None and (lema.made.rows, lema.made.corrector, lema.made.student) == (15, 60, 0)
    assert lema.made.per_row(lema.made.cost) == pytest.approx(20 * 0.5 / 15)
    assert lema.train["learned_tokens"] == 18_190


def test_the_table_is_printed_and_in_the_report(run: RunFolder) -> None:
    lines = list(markdown(methods(run, read_requests(run))))
    assert {line.count("|") for line in lines} == {len(HEAD) + 1}
    assert lines[4].startswith("| lema | greedy | 2 |") and "| 15 | 4.00 | 0.00 | 0.6667 |" in lines[4]
    page = render(run)
    assert "Methods beside one another" in page and '<td class="n">4.00</td>' in page
    assert CliRunner().invoke(app, ["methods", run.root]).output.splitlines() == lines


def test_a_run_that_was_not_evaluated_says_so(tmp_path: Path) -> None:
    run = RunFolder(str(tmp_path))
    with pytest.raises(ConfigError, match="lema evaluate"):
        methods(run, read_requests(run))
