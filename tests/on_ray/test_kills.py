"""Seeded kills of drivers, actors and raylets: what is collected is what an unkilled run collects, row for row.

`LEMA_KILLS=100 pytest tests/on_ray/test_kills.py -s` is a longer one; what was run is in docs/reliability.md.
"""

import contextlib
import os
import subprocess
import time
from collections import Counter
from pathlib import Path
from random import Random

import psutil
import pytest
import yaml
from killing import command_line, descendants, wait_gone
from on_ray_config import small
from test_paid_resume import IN_FLIGHT, collect, sent, stop

from lema_ray.demo.server import ServerOptions, running
from lema_ray.records import GradedQuestion
from lema_ray.runs import RunFolder
from lema_ray.spending.paid import read_paid

KILLS = int(os.environ.get("LEMA_KILLS", "4"))
QUESTIONS = max(60, 5 * KILLS)
KINDS = ("driver", "raylet", "actor", "actor")
OURS = ("EnginePool", "GradePool", "Limiters", "Progress")
pytestmark = [pytest.mark.ray, pytest.mark.timeout(600 + 120 * KILLS)]


def config(tmp_path: Path, name: str, url: str) -> Path:
    student = {"engine": {"type": "scripted", "script": "on_ray_scripts:guess_variously"}, "samples": 10}
    corrector = {"type": "openai", "model": "rule-based-teacher", "base_url": url, "concurrency": IN_FLIGHT}
    changes = {
        "questions": {"train": {"source": "word_problems", "count": QUESTIONS, "seed": 1}},
        "students": [student],
    }
    changes |= {"recipe": {"name": "lema", "corrections_per_question": 10}, "ray": {"num_cpus": 4}}
    path = tmp_path / f"{name}.yaml"
    raw = small(tmp_path, name=name, corrector={"engine": corrector}, **changes)
    path.write_text(yaml.safe_dump(raw))
    return path


def rows(tmp_path: Path, name: str) -> list[GradedQuestion]:
    found = RunFolder(f"{tmp_path}/{name}").read_records(GradedQuestion, "collected")
    return sorted(found, key=lambda row: row.question.id)


def victims(driver: subprocess.Popen[bytes], kind: str) -> list[psutil.Process]:
    """The living processes of a kind in a run's own cluster, at least one: waits for it, or for the driver's end."""
    while driver.poll() is None:
        own = psutil.Process(driver.pid)
        found = [own] if kind == "driver" else [p for p in own.children(recursive=True) if _is(kind, p)]
        if found:
            return found
        time.sleep(0.05)
    return []


def _is(kind: str, process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        if kind == "raylet":
            return process.name() == "raylet"
        title = " ".join(process.cmdline())
        return title.startswith("ray::") and any(name in title for name in OURS)
    return False


def kill(driver: subprocess.Popen[bytes], kind: str, rng: Random) -> list[str]:
    """Kill one process; when the run cannot go on, wait until nothing of it is left. Returns what was killed."""
    with contextlib.suppress(psutil.NoSuchProcess):
        family = descendants(driver.pid)
        if not (found := victims(driver, kind)):
            return []  # the run is over
        victim = rng.choice(found)
        kind = next((name for name in OURS if name in command_line(victim)), kind)
        victim.kill()
        if kind in ("driver", "raylet"):
            with contextlib.suppress(subprocess.TimeoutExpired):
                driver.wait(timeout=60)
            stop(driver)
            driver.wait()
            wait_gone(family)
        return [kind]
    return []


def test_kills_at_random_moments_change_nothing(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    rng = Random(int(os.environ.get("LEMA_SEED", "5")))
    kinds = [kind for _ in range(0, KILLS, len(KINDS)) for kind in rng.sample(KINDS, len(KINDS))]
    with running(ServerOptions(latency_s=0.5)) as url:
        assert collect(config(tmp_path, "whole", url)).wait(timeout=480) == 0
        one_pass = sent(url)
        killed = config(tmp_path, "killed", url)
        driver, done = collect(killed), []
        request.addfinalizer(lambda: stop(driver))
        while len(done) < KILLS and driver.poll() != 0:
            wait_for(driver, url, sent(url) + rng.randint(0, max(1, one_pass // KILLS - IN_FLIGHT)))
            time.sleep(rng.uniform(0, 0.5))
            done += kill(driver, kinds[len(done)], rng)
            if driver.poll() not in (None, 0):
                driver = collect(killed)
        assert driver.wait(timeout=480) == 0
        requests = sent(url) - one_pass
    print(f"\nkills: {Counter(done)}; requests: {requests}, one pass: {one_pass}")
    assert len(done) >= KILLS / 2, "the run was over too soon for this to show anything"
    assert rows(tmp_path, "killed") == rows(tmp_path, "whole")
    assert one_pass <= requests <= one_pass + len(done) * IN_FLIGHT
    keys = [paid.key for paid in read_paid(RunFolder(f"{tmp_path}/killed"))]
    assert len(keys) == len(set(keys)) == one_pass


def wait_for(driver: subprocess.Popen[bytes], url: str, requests: int) -> None:
    """Wait until so many requests were sent in all, or the driver has ended."""
    deadline = time.monotonic() + 240
    while sent(url) < requests and driver.poll() is None:
        assert time.monotonic() < deadline, f"no progress: {sent(url)} of {requests} requests"
        time.sleep(0.05)
