"""A collect against a paid endpoint, killed again and again: what was received is not asked for again."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import psutil
import pytest
import yaml
from killing import descendants, kill_driver
from on_ray_config import small

from lema_ray.demo.server import ServerOptions, running
from lema_ray.on_ray.progress import Counted
from lema_ray.records import GradedQuestion
from lema_ray.runs import RunFolder
from lema_ray.spending.paid import read_paid

pytestmark = [pytest.mark.ray, pytest.mark.timeout(900)]
HERE = Path(__file__).parent
IN_FLIGHT = 16
KILLED = ("actors", "driver", "actors", "driver", "actors")
BETWEEN = 20
"""Requests before each kill, not counted those that a killed driver's cluster sends until it notices."""


def collect(config: Path) -> subprocess.Popen[bytes]:
    path = os.pathsep.join([str(HERE), str(HERE.parents[1])])
    environment = {k: v for k, v in os.environ.items() if k != "RAY_ADDRESS"} | {"PYTHONPATH": path}
    command = [sys.executable, "-m", "lema_ray.cli", "collect", str(config)]
    return subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL, start_new_session=True)


def sent(url: str) -> int:
    return int(json.load(urllib.request.urlopen(url.replace("/v1", "/stats")))["requests"])


def corrector_run(tmp_path: Path, url: str, **actors: object) -> tuple[Path, RunFolder]:
    engine = {"type": "openai", "model": "rule-based-teacher", "base_url": url, "concurrency": IN_FLIGHT}
    engine["prices"] = {"input_per_million": 2.5, "output_per_million": 10.0}
    changes = {"questions": {"train": {"source": "word_problems", "count": 400, "seed": 1}}, "ray": {"num_cpus": 4}}
    config = tmp_path / "run.yaml"
    config.write_text(yaml.safe_dump(small(tmp_path, corrector={"engine": engine, **actors}, **changes)))
    return config, RunFolder(f"{tmp_path}/small")


def stop(driver: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(driver.pid, signal.SIGKILL)


def engine_actors(driver: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """The processes that hold the engines of the driver's own cluster."""
    return descendants(driver.pid, "EnginePool")


def test_killed_actors_and_drivers_cost_no_more_than_what_was_in_flight(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    with running(ServerOptions(latency_s=0.5)) as url:
        config, run = corrector_run(tmp_path, url)
        driver, killed = collect(config), 0
        request.addfinalizer(lambda: stop(driver))
        for victim in KILLED:
            wait_for_requests(driver, url, sent(url) + BETWEEN)
            if victim == "actors":
                killed += kill_engine_actors(driver)
            else:
                kill_driver(driver)
                assert run.stage("collect") is None
                driver = collect(config)
        assert driver.wait(timeout=480) == 0 and killed >= 3
        requests = sent(url)
    check_one_pass(run, requests, kills=len(KILLED))


def wait_for_requests(driver: subprocess.Popen[bytes], url: str, requests: int) -> None:
    """Wait until so many were sent in all, and by this driver's cluster: it has engines."""
    deadline = time.monotonic() + 240
    while sent(url) < requests or not engine_actors(driver):
        assert driver.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)


def kill_engine_actors(driver: subprocess.Popen[bytes]) -> int:
    """Kill those that live; how many that were."""
    killed = 0
    for actor in engine_actors(driver):
        with contextlib.suppress(psutil.NoSuchProcess):
            actor.kill()
            killed += 1
    return killed


def check_one_pass(run: RunFolder, requests: int, kills: int) -> None:
    """Every question once, every completion once, and no more requests than could not be avoided."""
    rows = list(run.read_records(GradedQuestion, "collected"))
    total = sum(map(Counted.of, rows), Counted())
    one_pass = total.corrections + total.drops
    assert len(rows) == len({r.question.id for r in rows}) == 400 and one_pass > 200
    assert one_pass <= requests <= one_pass + kills * IN_FLIGHT
    paid = list(read_paid(run))
    assert len(paid) == len({p.key for p in paid}) == one_pass, "each is in the log once"
    assert total.prompt_tokens >= sum(p.completion.prompt_tokens for p in paid) > 0
    assert total.cost == pytest.approx(sum(p.completion.cost for p in paid))
