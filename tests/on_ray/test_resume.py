"""A collect whose driver was killed goes on where it was: every question once, finished ones not asked again."""

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pytest
import yaml
from killing import kill_driver
from on_ray_config import small

from lema_ray.attempts import solve_prompt
from lema_ray.records import GradedQuestion, Question, content_id
from lema_ray.runs import RunFolder

pytestmark = [pytest.mark.ray, pytest.mark.timeout(900)]
HERE = Path(__file__).parent


def collect(config: Path, asked: Path) -> subprocess.Popen[bytes]:
    """`lema collect` in a process group of its own, on a local cluster of its own."""
    path = os.pathsep.join([str(HERE), str(HERE.parents[1])])
    environment = {k: v for k, v in os.environ.items() if k != "RAY_ADDRESS"} | {"PYTHONPATH": path}
    environment["LEMA_TEST_ASKED"] = str(asked)
    command = [sys.executable, "-m", "lema_ray.cli", "collect", str(config)]
    return subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL, start_new_session=True)


def committed(run: RunFolder) -> list[Question]:
    """The questions of all whole files, once nothing is left that writes."""
    kept: list[Question] = []
    for name in run.files("collected", suffix=".parquet"):
        # A file that was being written when its writer died; resuming removes it.
        with contextlib.suppress(pa.ArrowInvalid):
            kept += [row.question for row in run.read_records(GradedQuestion, "collected", name)]
    return kept


def test_a_killed_driver_goes_on(tmp_path: Path) -> None:
    student = {"engine": {"type": "scripted", "script": "on_ray_scripts:guess_slowly", "concurrency": 32}, "samples": 1}
    questions = {"train": {"source": "word_problems", "count": 400, "seed": 1}}
    config = tmp_path / "run.yaml"
    config.write_text(yaml.safe_dump(small(tmp_path, students=[student], questions=questions, ray={"num_cpus": 4})))
    run = RunFolder(f"{tmp_path}/small")
    first = collect(config, tmp_path / "first.txt")
    deadline = time.monotonic() + 180
    while len(run.files("collected", suffix=".parquet")) < 3:
        assert first.poll() is None and time.monotonic() < deadline
        time.sleep(0.2)
    kill_driver(first)
    kept = committed(run)
    assert 0 < len(kept) < 400 and run.stage("collect") is None
    assert collect(config, tmp_path / "second.txt").wait(timeout=240) == 0
    rows = [row.question.id for row in run.read_records(GradedQuestion, "collected")]
    assert sorted(rows) == sorted(q.id for q in run.read_records(Question, "questions", "train.parquet"))
    asked_again = set((tmp_path / "second.txt").read_text().split())
    assert not asked_again & {content_id(solve_prompt(question)[-1].content) for question in kept}
