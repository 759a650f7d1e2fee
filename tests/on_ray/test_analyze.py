"""`lema analyze` on a real local cluster, and LEMMA through collect: every mistake analysed once, and accounted for."""

from __future__ import annotations

import pytest

from lema_ray.config import ConfigError
from lema_ray.on_ray.analyze import analyze_run
from lema_ray.on_ray.flow import Flow
from lema_ray.records import GradedQuestion

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]


def rows(flow: Flow, *where: str) -> list[GradedQuestion]:
    return list(flow.run.read_records(GradedQuestion, *where))


def test_every_mistake_is_analysed_once_and_the_distribution_is_written(collected, make_config) -> None:
    with pytest.raises(ConfigError, match="no rows in collected"):
        analyze_run(make_config())
    flow = collected.flow
    shown = analyze_run(flow.config)
    analysed = rows(flow, "analyzed", "lemma", "collected")
    assert sorted(r.question.id for r in analysed) == sorted(r.question.id for r in rows(flow, "collected"))
    for row in analysed:
        assert sorted(a.attempt_id for a in row.analyses) == sorted(a.id for a in row.wrong)
    mistakes = sum(len(r.wrong) for r in analysed)
    assert mistakes > 20 and f"| mistakes | {mistakes} |" in shown
    data = flow.run.read_json("analyzed", "lemma", "collected.json")
    assert sum(share["count"] for share in data["shares"]["model"]) == mistakes
    files = flow.run.files("analyzed", "lemma", "collected")
    assert analyze_run(flow.config) == shown and flow.run.files("analyzed", "lemma", "collected") == files
    grown = analyze_run(flow.config, taxonomy="open")
    assert "# Error types (open)" in grown and f"| mistakes | {mistakes} |" in grown
    with pytest.raises(ConfigError, match="evaluations"):
        analyze_run(flow.config, "evaluations")


def test_lemma_goes_through_collect_and_every_request_is_in_the_ledger(cluster, make_config) -> None:
    recipe = {"name": "lemma", "options": {"inject": 1}}
    flow = Flow(make_config(recipe=recipe))
    flow.questions()
    counts = flow.collect()
    collected = rows(flow, "collected")
    assert counts["rows"] == len(collected) == 60
    assert (
        counts["made_wrong"] > 10 and counts["corrections"] > counts["wrong"] and counts["analyses"] > counts["wrong"]
    )
    strategies = {c.strategy for r in collected for c in r.corrections}
    assert strategies == {"fix", "fresh"}
    paid = sum(x.requests for r in collected for x in (*r.analyses, *r.corrections, *r.drops))
    assert counts["requests"] == counts["attempts"] + counts["made_wrong"] + paid
