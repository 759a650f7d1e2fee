"""`lema status` reads a run folder at every point of a run."""

import subprocess
import sys
from pathlib import Path

import pytest

from lema_ray.config import parse_config
from lema_ray.records import Completion, GradedQuestion, Question
from lema_ray.runs import RunFolder, open_run
from lema_ray.spending.paid import Paid, PaidLog
from lema_ray.status import status_lines
from lema_ray.training.note import write_note


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    engine = {"engine": {"type": "scripted"}}
    train = {"train": {"source": "word_problems", "count": 4}}
    raw = {"name": "run", "runs_dir": str(tmp_path), "questions": train, "students": [engine], "corrector": engine}
    run = open_run(parse_config(raw | {"budget": {"money": 5}}))
    run.write_json({"versions": {"lema-ray": "0.1.0"}, "stages": {}}, "manifest.json")
    return run


def text(run: RunFolder) -> str:
    return "\n".join(status_lines(run))


def test_a_run_at_every_point(run: RunFolder) -> None:
    assert "lema-ray 0.1.0" in text(run) and "questions  not begun" in text(run)
    run.record_stage("questions", 1.0, {"train": {"questions": 10}})
    rows = [GradedQuestion(Question(f"{n:032x}", f"{n}?", "1", "test")) for n in range(4)]
    run.write_records(rows, GradedQuestion, "collected", "part-0.parquet")
    assert "questions  done in 1 s" in text(run) and "collect    4 of 10 questions" in text(run)
    log = PaidLog(run, "writer")
    for n in range(3):
        log.append(Paid(f"{n:032x}", "row", Completion("text", "stop", "m", 10, 5, 0.25)))
    log.close()
    assert "paid       3 answers, 45 tokens, 0.7500 of 5" in text(run)
    for stage in ("collect", "build"):
        run.record_stage(stage, 2.0, {})
    write_note(run, "lema", {"step": 10, "steps": 40, "loss": 0.5, "seconds_left": 60.0})
    assert "train      training lema  10/40 steps  loss 0.500  60 s left" in text(run)
    for stage in ("train", "evaluate"):
        run.record_stage(stage, 2.0, {})
    run.write_text("<html>", "report.html")
    assert "finished: report.html" in text(run) and "not begun" not in text(run)


def test_it_needs_no_cluster_and_says_when_there_is_no_run(run: RunFolder, tmp_path: Path) -> None:
    code = "import sys, lema_ray.status, lema_ray.cli.cluster; sys.exit('ray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
    command = [sys.executable, "-m", "lema_ray.cli", "status"]
    done = subprocess.run([*command, run.root], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.startswith(run.root)
    done = subprocess.run([*command, str(tmp_path / "none")], capture_output=True, text=True)
    assert done.returncode == 2 and "is not a run folder" in done.stderr
