"""Seeded kills of drivers, engine actors and raylets: what is collected is what an unkilled run collects, row for row.

`LEMA_KILLS=100 pytest tests/on_ray/test_kills.py -s` is a longer one; what was run is in docs/reliability.md.
"""

import os
import signal
import subprocess
import time
from pathlib import Path
from random import Random

import psutil
import pytest
import yaml
from killing import wait_gone
from on_ray_config import small
from test_paid_resume import IN_FLIGHT, collect, engine_actors, sent, stop

from lema_ray.demo.server import ServerOptions, running
from lema_ray.records import GradedQuestion
from lema_ray.runs import RunFolder
from lema_ray.spending.paid import read_paid

KILLS = int(os.environ.get("LEMA_KILLS", "4"))
QUESTIONS = 60 * KILLS
pytestmark = [pytest.mark.ray, pytest.mark.timeout(600 + 120 * KILLS)]


def config(tmp_path: Path, name: str, url: str) -> Path:
    engine = {"type": "openai", "model": "rule-based-teacher", "base_url": url, "concurrency": IN_FLIGHT}
    changes = {"questions": {"train": {"source": "word_problems", "count": QUESTIONS, "seed": 1}}}
    path = tmp_path / f"{name}.yaml"
    raw = small(tmp_path, name=name, corrector={"engine": engine}, ray={"num_cpus": 4}, **changes)
    path.write_text(yaml.safe_dump(raw))
    return path


def rows(tmp_path: Path, name: str) -> list[GradedQuestion]:
    found = RunFolder(f"{tmp_path}/{name}").read_records(GradedQuestion, "collected")
    return sorted(found, key=lambda row: row.question.id)


def kill(driver: subprocess.Popen[bytes], victim: str) -> None:
    """Kill one kind of process; when the run cannot go on, wait until nothing of it is left."""
    family = psutil.Process(driver.pid).children(recursive=True)
    if victim == "actors":
        for actor in engine_actors(driver):
            actor.kill()
        return
    if victim == "driver":
        driver.send_signal(signal.SIGKILL)
    else:
        next(p for p in family if p.name() == "raylet").kill()
        try:
            driver.wait(timeout=60)
        except subprocess.TimeoutExpired:
            stop(driver)
    driver.wait()
    wait_gone(family)


def test_kills_at_random_moments_change_nothing(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    rng = Random(int(os.environ.get("LEMA_SEED", "5")))
    with running(ServerOptions(latency_s=0.5)) as url:
        assert collect(config(tmp_path, "whole", url)).wait(timeout=480) == 0
        one_pass = sent(url)
        killed = config(tmp_path, "killed", url)
        driver, done = collect(killed), []
        request.addfinalizer(lambda: stop(driver))
        while len(done) < KILLS and driver.poll() != 0:
            before, deadline = sent(url), time.monotonic() + 240
            enough = rng.randint(1, one_pass // (2 * KILLS))
            while sent(url) - before < enough and driver.poll() is None:
                assert time.monotonic() < deadline, f"no progress after {done}"
                time.sleep(0.05)
            if driver.poll() is None:
                done.append(rng.choice(("driver", "actors", "raylet")))
                kill(driver, done[-1])
            if driver.poll() not in (None, 0):
                driver = collect(killed)
        assert driver.wait(timeout=480) == 0
        requests = sent(url) - one_pass
    print(f"\nkills: {done}; requests: {requests}, one pass: {one_pass}")
    assert len(done) >= KILLS / 2, "the run was over too soon for this to show anything"
    assert rows(tmp_path, "killed") == rows(tmp_path, "whole")
    assert one_pass <= requests <= one_pass + len(done) * IN_FLIGHT
    keys = [paid.key for paid in read_paid(RunFolder(f"{tmp_path}/killed"))]
    assert len(keys) == len(set(keys)) == one_pass
