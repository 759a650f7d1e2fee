"""A training that something stops goes on from its checkpoint: its curve and model against an undisturbed training's.

    .venv/bin/python benchmarks/killed_training.py [driver|node|disk|elastic] [step] [undisturbed] [folder]

Default: the driver, killed once it has done 8 of 24 steps, in temporary folders. `undisturbed` keeps the undisturbed
run for the next time; `folder` is for the other and may be in a bucket.
`driver`: `kill -9`, and the same command again. `node`: the second of two Ray nodes on this machine, which has both
workers, is killed with all its processes, and a third is added. `disk`: the folder is a tmpfs (root is needed) with
room for one checkpoint only, which gets room for the second start. `elastic`: of two nodes with a worker each one is
killed, the training goes on with the other, and from the next look at the cluster with a new second one.

Two workers, ZeRO-2, shuffled rows of generated word problems, the demo's base model, the best of the dev rows.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lema_ray.config import RunConfig, parse_config
from lema_ray.errors import LemaError
from lema_ray.runs import RunFolder

ROWS, DEV_ROWS, SMALL_DISK = 384, 32, "40m"
EPOCHS = int(os.environ.get("EPOCHS", "2"))


def config_of(folder: str, name: str, address: str | None = None) -> RunConfig:
    """The run of one of the two trainings."""
    trainer = {"num_train_epochs": EPOCHS, "per_device_train_batch_size": 16, "logging_steps": 1, "learning_rate": 5e-4}
    trainer |= {"save_strategy": "steps", "save_steps": 4, "eval_strategy": "steps", "eval_steps": 4}
    elastic = {"min_workers": 1} if name == "elastic" else {}
    plain = {"engine": {"type": "scripted"}}
    return parse_config(
        {
            "name": name,
            "runs_dir": folder,
            "questions": {"train": {"source": "word_problems", "count": ROWS}, "test": {"source": "word_problems"}},
            "students": [plain],
            "corrector": plain,
            "build": {"arms": {"cot": {"rows": ["cot"]}}},
            "train": {"base": "demo/word-problems", "workers": 2, "best": "dev", "trainer": trainer} | elastic,
            "ray": {"address": address},
        }
    )


def train(folder: str, name: str, address: str | None = None) -> None:
    """A driver's whole life: rows, a cluster of its own or the one named, and the training."""
    from lema_ray.attempts import solve_prompt
    from lema_ray.on_ray.cluster import connect
    from lema_ray.on_ray.trainer import train_arm
    from lema_ray.questions import read_questions
    from lema_ray.records import Question, Span, TrainingExample

    config = config_of(folder, name, address)
    run = RunFolder(config.folder)
    if not run.exists("examples"):
        asked = [item for _, item in read_questions(config.questions.train, 0) if isinstance(item, Question)]
        rows = [TrainingExample(q.id, solve_prompt(q), (Span(q.solution or q.reference),), "cot", q.id) for q in asked]
        run.write_records(rows, TrainingExample, "examples", "cot", "train.parquet")
        run.write_records(rows[:DEV_ROWS], TrainingExample, "examples", "cot", "dev.parquet")
    connect(config)
    try:
        train_arm(config, run, "cot")
    except LemaError as error:
        sys.exit(f"error: {error}")


def started(folder: str, name: str, *address: str) -> subprocess.Popen[bytes]:
    """A driver in a session of its own."""
    return subprocess.Popen([sys.executable, __file__, "--train", folder, name, *address], start_new_session=True)


def finished(folder: str, name: str) -> None:
    """A driver that is to come to its end, unless one has already."""
    if not RunFolder(f"{folder}/{name}").exists("models", "cot", "trained.json") and started(folder, name).wait() != 0:
        sys.exit(f"the training {name} failed")


def reached(run: RunFolder) -> int:
    """The last step that a training noted."""
    path = ("checkpoints", "cot", "progress.json")
    return int(run.read_json(*path)["step"]) if run.exists(*path) else 0


def wait_for(driver: subprocess.Popen[bytes], run: RunFolder, step: int) -> None:
    """Until a training has done a step."""
    while driver.poll() is None and reached(run) < step:
        time.sleep(0.01)
    print(f"stopped at step {reached(run)}", flush=True)


def killed_driver(folder: str, step: int) -> None:
    """`kill -9`, then the same command."""
    driver = started(folder, "killed")
    wait_for(driver, RunFolder(f"{folder}/killed"), step)
    os.killpg(driver.pid, signal.SIGKILL)
    driver.wait()
    start = time.monotonic()
    finished(folder, "killed")
    print(f"went on and finished in {time.monotonic() - start:.0f} s with all start-ups")


def killed_node(folder: str, step: int) -> None:
    """A head that takes no work, a node with both workers that is killed, and one that is added afterwards."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    try:
        node = cluster.add_node(num_cpus=2)
        driver = started(folder, "killed", cluster.address)
        wait_for(driver, RunFolder(f"{folder}/killed"), step)
        cluster.remove_node(node, allow_graceful=False)
        start = time.monotonic()
        cluster.add_node(num_cpus=2)
        if driver.wait() != 0:
            sys.exit("the training did not go on")
        print(f"went on by itself and finished in {time.monotonic() - start:.0f} s")
    finally:
        cluster.shutdown()


def killed_one_of_two(folder: str, step: int) -> None:
    """Two nodes with a worker each; one is killed, and another one is there four steps later."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    try:
        _, node = cluster.add_node(num_cpus=1), cluster.add_node(num_cpus=1)
        driver = started(folder, "elastic", cluster.address)
        wait_for(driver, RunFolder(f"{folder}/elastic"), step)
        cluster.remove_node(node, allow_graceful=False)
        wait_for(driver, RunFolder(f"{folder}/elastic"), step + 4)
        cluster.add_node(num_cpus=1)
        if driver.wait() != 0:
            sys.exit("the training did not go on")
    finally:
        cluster.shutdown()


def full_disk(folder: str, _: int) -> None:
    """A disk that is full at the second checkpoint, and has room when the same command is given again."""
    print(f"ended with {started(folder, 'killed').wait()} at step {reached(RunFolder(f'{folder}/killed'))}", flush=True)
    kept = sorted(str(p.relative_to(folder)) for p in Path(folder).rglob("checkpoint_*"))
    print(f"on the disk then: {', '.join(kept)}", flush=True)
    subprocess.run(["mount", "-o", "remount,size=400m", folder], check=True)
    finished(folder, "killed")


@contextmanager
def place(kind: str, folder: str | None) -> Iterator[str]:
    """Where the disturbed run is: the folder that is given, or a temporary one; for a full disk a small one."""
    with tempfile.TemporaryDirectory() as made:
        if kind == "disk":
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK}", "tmpfs", made], check=True)
        try:
            yield folder or made
        finally:
            if kind == "disk":
                subprocess.run(["umount", "--lazy", made], check=True)


def outcome(folder: str, name: str) -> tuple[list[float], Any]:
    """The curve of a finished training, and which of its steps became the model."""
    run = RunFolder(f"{folder}/{name}")
    history = run.read_json("models", "cot", "loss.json")
    print(f"workers, step by step: {' '.join(str(int(e['workers'])) for e in history if 'loss' in e)}")
    return [e["loss"] for e in history if "loss" in e], run.read_json("models", "cot", "trained.json")["best_step"]


def main(kind: str = "driver", step: str = "8", kept: str | None = None, folder: str | None = None) -> None:
    """One undisturbed training, one that is stopped and goes on."""
    ways = {"driver": killed_driver, "node": killed_node, "disk": full_disk, "elastic": killed_one_of_two}
    name = "elastic" if kind == "elastic" else "killed"
    with place("", kept) as undisturbed, place(kind, folder) as disturbed:
        finished(undisturbed, "undisturbed")
        ways[kind](disturbed, int(step))
        (ours, best), (theirs, their_best) = outcome(disturbed, name), outcome(undisturbed, "undisturbed")
        apart = max(abs(a - b) / b for a, b in zip(ours, theirs, strict=True))
        print(f"{len(theirs)} steps, largest relative difference between the two curves: {apart:.2e}")
        print(f"the model is that of step {best}; undisturbed that of step {their_best}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--train"]:
        train(*sys.argv[2:])
    else:
        main(*sys.argv[1:])
