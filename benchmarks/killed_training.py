"""A training whose driver is killed goes on from its checkpoint: its loss curve against an undisturbed training's.

    .venv/bin/python benchmarks/killed_training.py [step]     default: killed once it has done 8 of 24 steps

Two workers, ZeRO-2, shuffled rows of generated word problems, the demo's base model. `kill -9` goes to the driver;
Ray's processes are left to notice. The second start is the same command.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from lema_ray.config import RunConfig, parse_config
from lema_ray.runs import RunFolder

ROWS = 384


def config_of(folder: str, name: str) -> RunConfig:
    """The run of one of the two trainings."""
    trainer = {"num_train_epochs": 2, "per_device_train_batch_size": 16, "logging_steps": 1, "learning_rate": 5e-4}
    plain = {"engine": {"type": "scripted"}}
    return parse_config(
        {
            "name": name,
            "runs_dir": folder,
            "questions": {"train": {"source": "word_problems", "count": ROWS}, "test": {"source": "word_problems"}},
            "students": [plain],
            "corrector": plain,
            "build": {"arms": {"cot": {"rows": ["cot"]}}},
            "train": {
                "base": "demo/word-problems",
                "workers": 2,
                "trainer": trainer | {"save_strategy": "steps", "save_steps": 4},
            },
        }
    )


def train(folder: str, name: str) -> None:
    """A driver's whole life: rows, a cluster of its own, and the training."""
    from lema_ray.attempts import solve_prompt
    from lema_ray.on_ray.cluster import connect
    from lema_ray.on_ray.trainer import train_arm
    from lema_ray.questions import read_questions
    from lema_ray.records import Question, Span, TrainingExample

    config = config_of(folder, name)
    run = RunFolder(config.folder)
    if not run.exists("examples"):
        asked = [item for _, item in read_questions(config.questions.train, 0) if isinstance(item, Question)]
        rows = [TrainingExample(q.id, solve_prompt(q), (Span(q.solution or q.reference),), "cot", q.id) for q in asked]
        run.write_records(rows, TrainingExample, "examples", "cot", "train.parquet")
    connect(config)
    train_arm(config, run, "cot")


def started(folder: str, name: str) -> subprocess.Popen[bytes]:
    """A driver in a session of its own."""
    return subprocess.Popen([sys.executable, __file__, "--train", folder, name], start_new_session=True)


def losses(folder: str, name: str) -> list[float]:
    """The curve of a finished training."""
    history = RunFolder(config_of(folder, name).folder).read_json("models", "cot", "loss.json")
    return [entry["loss"] for entry in history]


def main(step: int) -> None:
    """One undisturbed training, one killed and started again."""
    with tempfile.TemporaryDirectory() as folder:
        if started(folder, "undisturbed").wait() != 0:
            sys.exit("the undisturbed training failed")
        driver, note = started(folder, "killed"), Path(folder, "killed", "checkpoints", "cot", "progress.json")
        while driver.poll() is None and not (note.exists() and json.loads(note.read_text())["step"] >= step):
            time.sleep(0.01)
        reached = json.loads(note.read_text())["step"]
        os.killpg(driver.pid, signal.SIGKILL)
        driver.wait()
        print(f"killed the driver at step {reached}", flush=True)
        start = time.monotonic()
        if started(folder, "killed").wait() != 0:
            sys.exit("the training that went on failed")
        ours, theirs = losses(folder, "killed"), losses(folder, "undisturbed")
        apart = max(abs(a - b) / b for a, b in zip(ours, theirs, strict=True))
        print(f"{len(theirs)} steps, went on and finished in {time.monotonic() - start:.0f} s with all start-ups")
        print(f"largest relative difference between the two curves: {apart:.2e}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--train"]:
        train(*sys.argv[2:])
    else:
        main(int(*(sys.argv[1:] or ["8"])))
