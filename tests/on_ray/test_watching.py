"""Rows that break the code that works on them, and rows that nothing comes of."""

import asyncio
import itertools
import json
import logging
import threading
from concurrent.futures import Future

import pytest
import ray

from lema_ray.config import ScriptedSpec
from lema_ray.demo.word_problems import generate
from lema_ray.engines import EngineUnavailable
from lema_ray.on_ray import pools, unwaited
from lema_ray.on_ray.deaths import MOST_DEATHS, Deaths
from lema_ray.on_ray.flow import Flow
from lema_ray.on_ray.pools import EnginePool, to_rows
from lema_ray.on_ray.progress import Progress
from lema_ray.on_ray.unwaited import call_unwaited
from lema_ray.records import GradedQuestion

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]


def test_a_poison_row_is_dropped_with_the_error_and_the_run_goes_on(cluster, make_config) -> None:
    flow = Flow(make_config(corrector={"engine": {"type": "scripted", "script": "on_ray_scripts:poisoned"}}))
    flow.questions()
    counts = flow.collect()
    rows = list(flow.run.read_records(GradedQuestion, "collected"))
    poisoned = [drop for row in rows for drop in row.drops if drop.reason == "poison_row"]
    assert len(rows) == 60 and counts["corrections"] > 5 and len(poisoned) > 5
    assert {(d.stage, d.detail) for d in poisoned} == {("corrections", "ZeroDivisionError: a fault of ours")}


def test_an_engine_that_always_dies_ends_the_run_with_its_last_words(cluster, make_config) -> None:
    flow = Flow(make_config(corrector={"engine": {"type": "scripted", "script": "on_ray_scripts:die", "model": "m"}}))
    flow.questions()
    with pytest.raises(EngineUnavailable, match=r"with m died 5 times(.|\n)*no more memory for the cache"):
        flow.collect()


def test_deaths_count_in_a_row_and_a_row_done_forgives_them() -> None:
    deaths = Deaths()
    assert [deaths.began("a", f"log {n}") for n in range(MOST_DEATHS + 1)] == [None] * 5 + ["log 4"]
    assert deaths.began("b", "other") is None
    deaths.worked("a")
    assert deaths.began("a", "log 6") is None


class _Answer(asyncio.Future[object]):
    """What a call gave, as Ray's references are waited for: by `await`, or through a future of threads."""

    def future(self) -> "Future[object]":
        done: Future[object] = Future()
        done.set_result(self.result())
        return done


class _Told:
    """The progress actor without Ray."""

    def __init__(self) -> None:
        self.progress = Progress()

    def __getattr__(self, name: str) -> "_Told":
        self.name = name
        return self

    def remote(self, *arguments: object) -> _Answer:
        told = _Answer()
        told.set_result(getattr(self.progress, self.name)(*arguments))
        return told


async def test_rows_without_progress_are_named_with_what_they_wait_for(
    cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "WATCH_S", 0.05)
    monkeypatch.setattr(pools, "STALLED_S", 0.1)
    told, go_on = _Told(), asyncio.Event()
    monkeypatch.setattr(
        pools.ray, "get_runtime_context", lambda: type("C", (), {"get_actor_id": lambda self: "abcdef0123"})()
    )

    async def wait(graded: GradedQuestion, generate: object) -> GradedQuestion:
        await go_on.wait()
        return graded

    rows = [GradedQuestion(problem.question) for problem in generate(7, 1)]
    pool = EnginePool(ScriptedSpec(model="slow"), wait, "corrections", told)
    working = asyncio.create_task(pool(to_rows(rows)))
    await asyncio.sleep(0.4)
    (line,) = told.progress.stalls()
    assert line.startswith("corrections: no progress") and rows[0].question.id in line and "and 2 more" in line
    assert "actor abcdef01" in line and "waiting for slow to answer" in line
    go_on.set()
    assert len(await working) == 7
    await asyncio.sleep(0.1)
    assert told.progress.stalls() == [], json.dumps(told.progress.stalls())


class _Broken:
    """A progress actor with a fault."""

    def add(self, stage: str) -> None:
        if stage != "grades":
            raise ZeroDivisionError(f"no counts of {stage}")


def test_a_report_that_fails_is_a_warning_once_and_counted_always(
    cluster, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    counted, noted = [], threading.Semaphore(0)

    def count(name: str, value: float, **tags: str) -> None:
        counted.append((name, value, tags))
        noted.release()

    monkeypatch.setattr(unwaited.metrics, "add", count)
    monkeypatch.setattr(unwaited, "_failures", itertools.count(1))
    broken = ray.remote(num_cpus=0)(_Broken).remote()
    with caplog.at_level(logging.WARNING, logger="lema_ray"):
        for stage in ("grades", "attempts", "corrections"):
            call_unwaited(broken, "add", stage)
        assert noted.acquire(timeout=60) and noted.acquire(timeout=60)
        ray.kill(broken)
        # It may still do what it is told next: a kill is under way when the call returns.
        with pytest.raises(ray.exceptions.RayActorError):
            while True:
                ray.get(broken.add.remote("grades"))
        call_unwaited(broken, "add", "grades")
        assert noted.acquire(timeout=60)
    assert counted == [("lema_lost_reports_total", 1, {"report": "add"})] * 3
    (line,) = [record.getMessage() for record in caplog.records]
    assert "progress (add) was lost: ZeroDivisionError: no counts of attempts" in line
