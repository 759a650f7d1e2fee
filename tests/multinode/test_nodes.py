"""A run on three hosts: a worker and the head lose their power, another on a slow link its network, nothing is lost.

The collect stage by `ray job submit`, with scripted engines. It takes minutes and most of two cores, so it is run where
`LEMA_MULTINODE=1` is set.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from hosts import Host, Network, network, why_not

from lema_ray.records import GradedQuestion
from lema_ray.runs import RunFolder

REPOSITORY = Path(__file__).parents[2]
SCRIPTS = REPOSITORY / "tests" / "on_ray"
BIN = Path(sys.executable).parent
RAY = str(BIN / "ray")
QUESTIONS = 600
SLOW = "2mbit"
MEMORY = "--object-store-memory=100000000"

pytestmark = [
    pytest.mark.multinode,
    pytest.mark.ray,
    pytest.mark.timeout(580),
    pytest.mark.skipif(
        os.environ.get("LEMA_MULTINODE") != "1", reason="set LEMA_MULTINODE=1: it wants the machine alone"
    ),
    pytest.mark.skipif((reason := why_not()) is not None, reason=str(reason)),
]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Network]:
    with network(tmp_path) as made:
        yield made


def environment(tmp_path: Path, name: str) -> dict[str, str]:
    """Of a node: a node that is silent for 4 s is dead, the head's state is on its disk."""
    asked = tmp_path / f"asked-{name}"
    state = {"RAY_gcs_storage": "rocksdb", "RAY_gcs_storage_path": str(tmp_path / "gcs")}
    dead = {f"RAY_health_check_{what}": "1000" for what in ("initial_delay_ms", "period_ms", "timeout_ms")}
    ours = {
        "PYTHONPATH": f"{REPOSITORY}:{SCRIPTS}",
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "LEMA_TEST_ASKED": str(asked),
    }
    auth = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0123456789abcdef" * 4, "RAY_USAGE_STATS_ENABLED": "0"}
    more = {"RAY_health_check_failure_threshold": "3", "RAY_gcs_rpc_server_reconnect_timeout_s": "600"}
    return ours | auth | dead | more | state | {"OMP_NUM_THREADS": "1"}


def start_head(head: Host, tmp_path: Path) -> None:
    at = f"--node-ip-address={head.address}"
    command = [RAY, "start", "--head", "--block", at, "--port=6379", f"--dashboard-host={head.address}", "--num-cpus=0"]
    head.start(*command, "--resources", '{"driver": 1}', MEMORY, **environment(tmp_path, head.name))


def start_worker(worker: Host, head: Host, tmp_path: Path, cpus: int = 4) -> None:
    at = f"--node-ip-address={worker.address}"
    command = [RAY, "start", "--block", f"--address={head.address}:6379", at, f"--num-cpus={cpus}", MEMORY]
    worker.start(*command, **environment(tmp_path, worker.name))


def wait_for(
    reached: Callable[[], bool], what: str, job: subprocess.Popen[str] | None = None, timeout_s: float = 150
) -> None:
    deadline = time.monotonic() + timeout_s
    while not reached():
        assert job is None or job.poll() is None, job.communicate()[0][-3000:]
        assert time.monotonic() < deadline, f"not in {timeout_s:g} s: {what}"
        time.sleep(0.2)


def takes_jobs(head: Host, tmp_path: Path, alive: int) -> bool:
    code = f"import ray; ray.init('{head.address}:6379', log_to_driver=False); n = sum(x['Alive'] for x in ray.nodes())"
    asked = head.run(sys.executable, "-c", f"{code}; raise SystemExit(n < {alive})", **environment(tmp_path, head.name))
    asked.communicate(timeout=120)
    if asked.returncode:
        return False
    submit = head.run(*job(head), "--no-wait", "--", "true", **environment(tmp_path, head.name))
    submit.communicate(timeout=120)
    return submit.returncode == 0


def job(head: Host) -> list[str]:
    return [RAY, "job", "submit", "--address", f"http://{head.address}:8265"]


def asked(tmp_path: Path, without: str = "") -> int:
    """Questions that students were asked, by all hosts but one."""
    files = [path for path in tmp_path.glob("asked-*") if path.name != f"asked-{without}"]
    return sum(len(path.read_text().splitlines()) for path in files)


def write_config(tmp_path: Path) -> Path:
    def engine(script: str) -> dict[str, object]:
        return {"type": "scripted", "script": f"on_ray_scripts:{script}", "concurrency": 8}

    actors = {"min": 2, "max": 2, "cpus": 1}
    path = tmp_path / "run.yaml"
    raw = {
        "name": "nodes",
        "runs_dir": str(tmp_path / "runs"),
        "questions": {"train": {"source": "word_problems", "count": QUESTIONS, "seed": 1}},
        "students": [{"engine": engine("guess_slowly"), "samples": 1, "actors": actors}],
        "corrector": {"engine": engine("teach"), "actors": {"min": 1, "max": 1, "cpus": 0.25}},
    }
    path.write_text(yaml.safe_dump(raw))
    return path


def submit(head: Host, tmp_path: Path, number: int) -> subprocess.Popen[str]:
    entry = f"cd {REPOSITORY} && {sys.executable} jobs/collect.py --config {tmp_path / 'run.yaml'}"
    command = [*job(head), "--submission-id", f"nodes-{number}", "--", "bash", "-c", entry]
    return head.run(*command, **environment(tmp_path, head.name))


def test_a_run_outlives_its_nodes_and_its_head(cluster: Network, tmp_path: Path) -> None:
    head, first, second = (cluster.host(name) for name in ("head", "one", "two"))
    write_config(tmp_path)
    start_head(head, tmp_path)
    start_worker(first, head, tmp_path)
    start_worker(second, head, tmp_path)
    wait_for(lambda: takes_jobs(head, tmp_path, 3), f"a cluster of three\n{head.log()}")
    second.slow(SLOW)

    running = submit(head, tmp_path, 1)
    wait_for(lambda: asked(tmp_path) > QUESTIONS // 8, "work under way", running)
    first.kill()
    start_worker(first, head, tmp_path)
    before = asked(tmp_path)
    wait_for(lambda: asked(tmp_path) > before + QUESTIONS // 8, "work after a host lost its power", running)
    second.link("down")
    before = asked(tmp_path, without=second.name)
    wait_for(
        lambda: asked(tmp_path, without=second.name) > before + QUESTIONS // 8, "work after a host was cut off", running
    )
    second.kill()
    second.link("up")
    start_worker(second, head, tmp_path)

    head.kill()  # and its driver with it
    running.communicate(timeout=60)
    assert running.returncode != 0
    start_head(head, tmp_path)
    wait_for(lambda: takes_jobs(head, tmp_path, 3), f"the head with its workers again\n{head.log()}")
    done = submit(head, tmp_path, 2)
    said, _ = done.communicate(timeout=200)
    assert done.returncode == 0, said[-3000:]

    rows = list(RunFolder(str(tmp_path / "runs" / "nodes")).read_records(GradedQuestion, "collected"))
    assert len(rows) == len({r.question.id for r in rows}) == QUESTIONS
    assert all(r.attempts for r in rows) and not [d for r in rows for d in r.drops if d.reason == "poison_row"]
    assert all(r.corrections or r.drops for r in rows if r.wrong), "every mistake was corrected, or dropped by name"
