"""`ray job submit` of the whole run, on a Ray cluster of its own that `ray start` made."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
RAY = str(Path(sys.executable).parent / "ray")

pytestmark = [pytest.mark.ray, pytest.mark.vllm, pytest.mark.train, pytest.mark.timeout(900)]


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


@pytest.fixture
def dashboard(tmp_path: Path) -> Iterator[str]:
    """The address of a cluster that this test started, and that it alone stops."""
    port, dashboard_port, client, agent = free_ports(4)
    address = f"http://127.0.0.1:{dashboard_port}"
    command = [RAY, "start", "--head", "--block", "--num-cpus=4", f"--port={port}", "--node-ip-address=127.0.0.1"]
    command += [f"--dashboard-port={dashboard_port}", f"--ray-client-server-port={client}", "--disable-usage-stats"]
    # The cluster of the other tests has an agent as well, at the usual port.
    command += [f"--dashboard-agent-listen-port={agent}"]
    environment = {k: v for k, v in os.environ.items() if k not in ("RAY_ADDRESS", "PYTHONPATH")}
    environment |= {"RAY_AUTH_MODE": "disabled", "RAY_TMPDIR": f"/tmp/lema{port}"}
    server = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until_it_takes_jobs(address, server)
        yield address
    finally:
        server.terminate()
        server.wait(timeout=60)


def wait_until_it_takes_jobs(address: str, server: subprocess.Popen[bytes]) -> None:
    """The dashboard answers before the agent that starts jobs is there, so readiness is a job that was taken."""
    from ray.job_submission import JobSubmissionClient

    deadline = time.monotonic() + 180
    last: Exception | None = None
    while time.monotonic() < deadline:
        assert server.poll() is None, "ray start ended"
        try:
            JobSubmissionClient(address).submit_job(entrypoint="true")
            return
        except (ConnectionError, RuntimeError) as error:
            last = error
            time.sleep(1)
    raise AssertionError(f"{address} took no job in 180 s: {last}")


def test_the_demo_runs_as_a_job(dashboard: str, tiny_model: Path, tmp_path: Path) -> None:
    # A model of random weights never ends an answer, so the student is a teacher that errs; the model is trained.
    student = "{type: openai, model: rule-based-teacher, launch: '{python} -m lema_ray.demo.server --port {port}"
    overrides = [f"runs_dir={tmp_path}", "name=job", f"train.base={tiny_model}", "train.max_length=2048"]
    overrides += [f"students=[{{engine: {student} --error-rate 0.7'}}, samples: 1}}]", "evaluate.engine.dtype=float32"]
    overrides += ["questions.train.count=24", "questions.test.count=8", "build.too_long=drop"]
    overrides += ["evaluate.sampling=[{name: greedy, max_tokens: 8}]", "build.arms={lema: {rows: [cot, corrections]}}"]
    submit = [RAY, "job", "submit", "--address", dashboard, "--working-dir", str(REPOSITORY), "--"]
    entry = [sys.executable, "jobs/run.py", "--config", "jobs/configs/demo.yaml", *overrides]
    environment = {k: v for k, v in os.environ.items() if k not in ("RAY_ADDRESS", "PYTHONPATH")}
    done = subprocess.run(
        [*submit, *entry], env=environment | {"RAY_AUTH_MODE": "disabled"}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "report: " in done.stdout
    stages = json.loads((tmp_path / "job" / "manifest.json").read_text())["stages"]
    assert list(stages) == ["questions", "collect", "build", "train", "evaluate"]
    assert (tmp_path / "job" / "report.html").stat().st_size > 10_000
    assert (tmp_path / "job" / "models" / "lema" / "model.safetensors").exists()
