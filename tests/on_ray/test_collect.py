"""The collect pipeline on a real local cluster: every question reaches the sink once, with all that happened to it."""

import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from lema_ray.config import ConfigError
from lema_ray.engines import EngineUnavailable
from lema_ray.on_ray.collect import count_collected
from lema_ray.on_ray.flow import Flow
from lema_ray.records import GradedQuestion, Question

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]


def rows_of(flow: Flow) -> list[GradedQuestion]:
    return list(flow.run.read_records(GradedQuestion, "collected"))


def test_every_question_comes_out_once_with_its_history(collected) -> None:
    flow, counts = collected.flow, collected.counts
    rows = rows_of(flow)
    asked = [q.id for q in flow.run.read_records(Question, "questions", "train.parquet")]
    assert sorted(r.question.id for r in rows) == sorted(asked)
    assert all(len(r.attempts) == 2 for r in rows)
    assert all(c.attempt_id in {a.id for a in r.wrong} for r in rows for c in r.corrections)
    assert all(g.grade.rules != ("ungraded",) for r in rows for g in r.attempts)
    assert counts["corrections"] > 10 and counts["right"] > 10
    assert counts["requests"] == counts["attempts"] + counts["corrections"] + counts["drops"]
    assert pq.read_schema(next(Path(flow.run.uri("collected")).glob("*.parquet"))).field("corrections").type is not None


def test_a_finished_stage_is_not_done_again(collected) -> None:
    first, run = collected.counts, collected.flow.run
    files = run.files("collected")
    again = Flow(collected.flow.config).collect()
    assert {k: again[k] for k in first} == first
    assert run.files("collected") == files


def test_refused_requests_become_drops_in_their_rows(cluster, make_config) -> None:
    corrector = {"engine": {"type": "scripted", "script": "on_ray_scripts:refuse_some"}}
    flow = Flow(make_config(corrector=corrector))
    flow.questions()
    counts = flow.collect()
    drops = [drop for row in rows_of(flow) for drop in row.drops]
    assert {d.reason for d in drops} == {"content_filter"} and counts["drops"] == len(drops) > 5
    assert counts["corrections"] > 5


def test_a_dead_engine_stops_the_run_with_its_own_message(cluster, make_config) -> None:
    flow = Flow(make_config(corrector={"engine": {"type": "scripted", "script": "on_ray_scripts:dead"}}))
    flow.questions()
    with pytest.raises(EngineUnavailable, match=r"the corrector at 127.0.0.1:1 is down"):
        flow.collect()
    assert flow.run.stage("collect") is None


def test_a_plan_that_cannot_be_scheduled_is_refused_at_once(cluster, make_config) -> None:
    student = {"engine": {"type": "scripted"}, "actors": {"cpus": 64}}
    flow = Flow(make_config(students=[student]))
    flow.questions()
    with pytest.raises(ConfigError, match=r"needs 65 CPUs, the cluster has 4"):
        flow.collect()


def test_imported_attempts_take_the_place_of_sampling(cluster, make_config, tmp_path: Path) -> None:
    path = tmp_path / "attempts.jsonl"
    question = "Ann has 3 apples and buys 4 more. How many apples has she?"
    solutions = ["3 + 4 = 8. The answer is 8.", "3 + 4 = 7. The answer is 7."]
    lines = [f'{{"question": "{question}", "solution": "{s}", "reference": "7", "model": "m"}}\n' for s in solutions]
    path.write_text("".join(lines))
    flow = Flow(make_config(students=[], import_attempts={"path": str(path)}))
    flow.questions()
    assert flow.collect()["requests"] == 1, "only the correction was asked for"
    (row,) = rows_of(flow)
    assert [g.grade.verdict for g in row.attempts] == ["wrong", "right"]
    assert len(row.corrections) + len(row.drops) == 1


def test_writers_add_solutions_that_are_never_corrected(cluster, make_config) -> None:
    writer = {"engine": {"type": "scripted", "script": "on_ray_scripts:guess", "model": "writer"}, "samples": 1}
    flow = Flow(make_config(writers=[writer]))
    flow.questions()
    flow.collect()
    rows = rows_of(flow)
    written = {g.attempt.id for r in rows for g in r.attempts if g.attempt.origin == "written"}
    assert len(written) == len(rows)
    assert not written & {c.attempt_id for r in rows for c in r.corrections}


def test_the_sum_of_all_rows_is_the_ledger(collected) -> None:
    counts, again = collected.counts, count_collected(collected.flow.run)
    assert again.completion_tokens == counts["completion_tokens"] and again.rows == counts["rows"]


def test_evolution_writes_a_questions_file_for_a_second_run(collected, make_config, tmp_path: Path) -> None:
    from lema_ray.on_ray.evolve import evolve_run
    from lema_ray.questions import read_questions

    corrector = {"engine": {"type": "scripted", "script": "on_ray_scripts:teach_or_write"}}
    # What was collected is what this corrector would have collected: it teaches alike.
    shutil.copytree(collected.flow.run.root, tmp_path / "small", ignore=shutil.ignore_patterns("config.yaml"))
    flow = Flow(make_config(corrector=corrector))
    assert "questions" in evolve_run(flow.config, 12)
    source = flow.config.questions.train.model_copy(
        update={"source": "files", "path": flow.run.uri("evolved", "questions.jsonl")}
    )
    made = [item for _, item in read_questions(source)]
    assert len(made) == 12 and all(isinstance(q, Question) and q.reference == "3" and q.solution for q in made)
    rows = {row.question.id: row for row in flow.run.read_records(GradedQuestion, "evolved", "rows")}
    assert len(rows) == 12, "a seed that is drawn twice is two rows"
    evolve_run(flow.config, 15)
    grown = {row.question.id: row for row in flow.run.read_records(GradedQuestion, "evolved", "rows")}
    assert len(grown) == 15 and rows.items() <= grown.items(), "what was written before is not asked for again"


def test_unsure_grades_are_judged_by_the_corrector_and_its_replies_are_in_the_ledger(cluster, make_config) -> None:
    student = {"engine": {"type": "scripted", "script": "on_ray_scripts:murmur"}, "samples": 2}
    corrector = {"engine": {"type": "scripted", "script": "on_ray_scripts:judge_half", "model": "judge"}}
    flow = Flow(make_config(students=[student], corrector=corrector, grading={"judge": {"max_tokens": 64}}))
    flow.questions()
    counts = flow.collect()
    rows = list(flow.run.read_records(GradedQuestion, "collected"))
    judgements = [j for row in rows for j in row.judgements]
    unread = [d for row in rows for d in row.drops if d.stage == "judge"]
    assert len(judgements) > 20 and len(unread) > 20 and {j.verdict for j in judgements} == {"wrong"}
    judged = [g for row in rows for g in row.attempts if g.grade.rules[-1] == "judge"]
    assert len(judged) == len(judgements) and {g.grade.reason for g in judged} == {"It is another number."}
    assert counts["unsure"] == len(unread) and counts["wrong"] == len(judged)
    corrected = [d for row in rows for d in row.drops if d.stage == "corrections"]
    assert {d.id for d in corrected} == {j.attempt_id for j in judgements}, "what is judged wrong is corrected"
    assert counts["requests"] == counts["attempts"] + len(judgements) + len(unread) + len(corrected)
