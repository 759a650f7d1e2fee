"""Recipes that ask the student too: the corrector's actors hold its engine beside their own; all is accounted for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lema_ray.config import ConfigError
from lema_ray.demo.server import ServerOptions, running
from lema_ray.on_ray.cluster import collect_pools
from lema_ray.on_ray.flow import Flow
from lema_ray.records import GradedQuestion

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]


def collected(flow: Flow) -> tuple[dict[str, Any], list[GradedQuestion]]:
    flow.questions()
    counts = flow.collect()
    return counts, list(flow.run.read_records(GradedQuestion, "collected"))


def test_the_student_edits_its_own_steps(cluster, make_config) -> None:
    student = {"engine": {"type": "scripted", "script": "on_ray_scripts:guess_or_edit", "model": "pupil"}, "samples": 4}
    config = make_config(students=[student | {"actors": {"cpus": 0.5}}], recipe={"name": "rise"})
    counts, rows = collected(Flow(config))
    edited = [g.attempt for row in rows for g in row.attempts if g.attempt.origin == "edited"]
    assert len(edited) > 5 and {attempt.model for attempt in edited} == {"pupil"}
    assert counts["made_wrong"] == len(edited) and counts["attempts"] == 240
    pairs = [c for row in rows for c in row.corrections]
    assert {c.strategy for c in pairs} == {"full", "step"} and all(c.requests == 0 for c in pairs)
    assert counts["requests"] == 240 + len(edited) + sum(d.requests for row in rows for d in row.drops)
    named = {pool.name: pool.actors.cpus for pool in collect_pools(config)}
    assert named["corrector with student pupil"] == 0.75, "the actor takes what both of them take"


def test_two_endpoints_in_one_actor_keep_their_own_answers(cluster, make_config, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    options = {"inject": 0, "smoother": "student", "strategies": ["fix"]}
    with running(ServerOptions()) as teacher, running(ServerOptions(error_rate=0.5)) as pupil:
        roles = [{"type": "openai", "model": "rule-based-teacher", "base_url": url} for url in (pupil, teacher)]
        config = make_config(
            students=[{"engine": roles[0], "samples": 1}],
            corrector={"engine": roles[1]},
            recipe={"name": "lemma", "options": options},
        )
        counts, rows = collected(Flow(config))
    smooth = [c for row in rows for c in row.corrections if "smooth_rest" in c.fields]
    assert len(smooth) > 5
    kept: dict[bool, int] = {True: 0, False: 0}
    for file in Path(config.folder, "paid").glob("*.jsonl"):
        kept[file.stem.endswith("-student")] += sum(1 for line in file.read_text().splitlines() if json.loads(line))
    assert kept[True] >= len(smooth) and sum(kept.values()) == counts["requests"]


def test_a_student_that_cannot_continue_is_refused_before_anything_starts(make_config) -> None:
    student = {"engine": {"type": "openai", "model": "m", "base_url": "http://127.0.0.1:9/v1"}}
    with pytest.raises(ConfigError, match="recipe s3c has the student go on with solutions"):
        Flow(make_config(students=[student], recipe={"name": "s3c"}))
