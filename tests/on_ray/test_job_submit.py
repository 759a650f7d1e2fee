"""Jobs on a Ray cluster of their own that `ray start` made with a token: `ray job submit` and `lema submit`."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from killing import command_line, descendants
from on_ray_config import small
from own_cluster import RAY, OwnCluster, free_ports, own_cluster
from prometheus_server import expressions, prometheus, query
from s3_server import BUCKET, s3_server
from test_paid_resume import sent

from lema_ray.demo.server import ServerOptions, running
from lema_ray.records import GradedQuestion
from lema_ray.runs import RunFolder
from lema_ray.spending.paid import read_paid

REPOSITORY = Path(__file__).parents[2]
IN_FLIGHT = 4
QUESTIONS = 96
LATENCY_S = 0.5
BUCKET_URI = f"s3://{BUCKET}/runs"
KEY = "sk-of-the-cluster"

pytestmark = [pytest.mark.ray, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def cluster() -> Iterator[OwnCluster]:
    # What a cluster's image would have: this environment's Python as `python`, and the scripts of these tests.
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    scripts = str(Path(__file__).parent)
    with s3_server() as bucket, own_cluster(4, PATH=path, PYTHONPATH=scripts, OPENAI_API_KEY=KEY, **bucket) as found:
        yield found


@pytest.fixture
def in_bucket(cluster: OwnCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    use_bucket(cluster, monkeypatch)


def use_bucket(cluster: OwnCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """This process finds the cluster's bucket too."""
    for name, value in cluster.environment.items():
        if name.startswith("AWS_"):
            monkeypatch.setenv(name, value)


def submit(cluster: OwnCluster, config: Path, *options: str, **environment: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "lema_ray.cli", "submit", str(config), "--address", cluster.address, *options]
    given = cluster.environment | {"PYTHONPATH": str(REPOSITORY)} | environment
    return subprocess.Popen(command, env=given, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    out, err = process.communicate(timeout=300)
    return process.returncode, out + err


def write_config(folder: Path, name: str, **changes: object) -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(small(folder, name=name, **changes)))
    return path


@pytest.mark.vllm
@pytest.mark.train
def test_the_demo_runs_as_a_job_in_a_bucket(cluster: OwnCluster, tiny_model: Path, in_bucket: None) -> None:
    # A model of random weights never ends an answer, so the student is a teacher that errs; the model is trained.
    student = "{type: openai, model: rule-based-teacher, launch: '{python} -m lema_ray.demo.server --port {port}"
    overrides = [f"runs_dir={BUCKET_URI}", "name=job", f"train.base={tiny_model}", "train.max_length=2048"]
    overrides += [f"students=[{{engine: {student} --error-rate 0.7'}}, samples: 1}}]", "evaluate.engine.dtype=float32"]
    overrides += ["questions.train.count=24", "questions.test.count=8", "build.too_long=drop"]
    overrides += ["evaluate.sampling=[{name: greedy, max_tokens: 8}]", "build.arms={lema: {rows: [cot, corrections]}}"]
    submit = [RAY, "job", "submit", "--address", cluster.address, "--working-dir", str(REPOSITORY), "--"]
    entry = [sys.executable, "jobs/run.py", "--config", "jobs/configs/demo.yaml", *overrides]
    done = subprocess.run([*submit, *entry], env=cluster.environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "report: " in done.stdout
    run = RunFolder(f"{BUCKET_URI}/job")
    assert list(run.manifest["stages"]) == ["questions", "collect", "build", "train", "evaluate"]
    assert len(run.read_text("report.html")) > 10_000
    assert run.exists("models", "lema", "model.safetensors")
    assert len(list(read_paid(run))) == run.manifest["stages"]["collect"]["requests"], "the log is whole when rows are"
    assert not [name for name in run.files() if name.endswith(".part")], "nothing half is left"


@dataclass(frozen=True)
class Killed:
    """What became of a collect whose driver was killed, as its command lines and the endpoint saw it."""

    run: RunFolder
    asked_before: int
    kept_before: int
    asked: int
    first: tuple[int, str]
    again: tuple[int, str]
    resumed: tuple[int, str]
    repeated: tuple[int, str]
    metrics: dict[str, list[dict[str, Any]]]


@pytest.fixture(scope="module")
def killed(cluster: OwnCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Killed]:
    """Collect into a bucket, against an endpoint that takes half a second, with a kill after a quarter."""
    folder = tmp_path_factory.mktemp("killed")
    run = RunFolder(f"{BUCKET_URI}/killed")
    with running(ServerOptions(latency_s=LATENCY_S, api_key=KEY)) as url, pytest.MonkeyPatch.context() as patch:
        use_bucket(cluster, patch)
        prices = {"input_per_million": 2.5, "output_per_million": 10.0}
        engine = {"type": "openai", "model": "rule-based-teacher", "base_url": url, "prices": prices}
        config = write_config(
            folder,
            "killed",
            corrector={"engine": engine | {"concurrency": IN_FLIGHT}},
            students=[{"engine": {"type": "scripted", "script": "on_ray_scripts:err"}, "samples": 1}],
            questions={"train": {"source": "word_problems", "count": QUESTIONS, "seed": 1}},
            runs_dir=BUCKET_URI,
            budget={"money": 50},
        )
        first = submit(cluster, config, "--stage", "collect", OPENAI_API_KEY="sk-of-the-submitter")
        wait_for(lambda: sent(url) >= QUESTIONS // 4 and bool(run.files("paid")), first)
        drivers(cluster)[0].kill()
        ends = [ended(first), ended(submit(cluster, config, "--stage", "collect"))]
        before = sent(url), len({paid.row for paid in read_paid(run)})
        resuming = submit(cluster, config, "--stage", "collect", "--resume")
        with watching(cluster, folder) as address:
            ends.append(ended(resuming))
            seen = (
                {e: query(address, f"max_over_time(({e})[10m:1s])") for e in expressions().values()} if address else {}
            )
        ends.append(ended(submit(cluster, config, "--stage", "collect", "--resume")))
        yield Killed(run, *before, sent(url), *ends, seen)


@contextmanager
def watching(cluster: OwnCluster, folder: Path) -> Iterator[str | None]:
    """A Prometheus that scrapes the cluster, where there is one."""
    if shutil.which("prometheus") is None:
        yield None
        return
    with prometheus(cluster.environment["LEMA_TEST_METRICS"], free_ports(1)[0], folder) as address:
        yield address


def test_a_killed_job_goes_on_where_it_was(killed: Killed, in_bucket: None) -> None:
    code, said = killed.first
    assert code != 0 and "lema-killed-collect: failed" in said, said
    code, said = killed.again
    assert code == 2 and "--resume goes on in its run folder" in said, said
    for code, said in (killed.resumed, killed.repeated):
        assert code == 0 and "lema-killed-collect-2: succeeded" in said, said
    rows = list(killed.run.read_records(GradedQuestion, "collected"))
    assert len(rows) == len({r.question.id for r in rows}) == QUESTIONS
    assert all(len(r.corrections) + len(r.drops) > 0 for r in rows)


def test_what_is_in_the_bucket_is_not_asked_again(killed: Killed) -> None:
    assert 0 < killed.kept_before < QUESTIONS, "the kill came in the middle"
    assert QUESTIONS <= killed.asked <= killed.asked_before + QUESTIONS - killed.kept_before


def test_keys_are_the_clusters_and_in_no_record_of_a_job(killed: Killed, cluster: OwnCluster) -> None:
    from ray.job_submission import JobSubmissionClient

    headers = {"Authorization": f"Bearer {cluster.environment['RAY_AUTH_TOKEN']}"}
    jobs = JobSubmissionClient(cluster.address, headers=headers).list_jobs()
    assert any(job.submission_id == "lema-killed-collect-2" for job in jobs)
    assert "sk-of-the" not in repr(jobs) + "".join(said for _, said in (killed.first, killed.resumed))


def test_prometheus_sees_the_run(killed: Killed) -> None:
    if not killed.metrics:
        pytest.skip("no prometheus here (Debian package `prometheus`)")
    silent = {e for e, series in killed.metrics.items() if not series}
    # No training here, no stall, perhaps no drop; what an actor has at hand it tells every ten seconds.
    assert not {e for e in silent if not re.search("training|stalled|drops|queue", e)}, silent
    value = {e: [float(s["value"][1]) for s in series] for e, series in killed.metrics.items()}
    assert max(value["max(ray_lema_budget_money)"]) == 50
    assert max(value["max(ray_lema_budget_spent_money)"]) > 0
    assert max(value["max by (endpoint) (ray_lema_limiter_concurrency)"]) >= IN_FLIGHT


def drivers(cluster: OwnCluster) -> list[psutil.Process]:
    """The processes of jobs, which the cluster's agent started."""
    family = descendants(cluster.server.pid, "jobs/collect.py")
    return [p for p in family if command_line(p).split(" ", 1)[0].endswith("python")]


def wait_for(reached: Callable[[], bool], process: subprocess.Popen[str], timeout_s: float = 120) -> None:
    deadline = time.monotonic() + timeout_s
    while not reached():
        assert process.poll() is None, ended(process)
        assert time.monotonic() < deadline, "not reached in time"
        time.sleep(0.1)


def test_a_plan_for_gpus_is_refused_before_anything_runs(cluster: OwnCluster, tmp_path: Path) -> None:
    config = write_config(tmp_path, "gpus", train={"base": "demo/word-problems", "gpus_per_worker": 1})
    code, said = ended(submit(cluster, config))
    assert code == 1 and "train needs 1 GPUs, the cluster has 0" in said, said
    assert "Traceback" not in said and not (tmp_path / "gpus" / "questions").exists()


def test_a_missing_or_wrong_token_is_one_line(cluster: OwnCluster, tmp_path: Path) -> None:
    config = write_config(tmp_path, "token")
    for changes in ({"RAY_AUTH_TOKEN": "wrong" * 8}, {"RAY_AUTH_MODE": "disabled"}):
        code, said = ended(submit(cluster, config, **changes))
        assert code == 2 and "refused the token" in said, said
        assert cluster.environment["RAY_AUTH_TOKEN"] not in said and "Traceback" not in said


@pytest.mark.parametrize(
    ("options", "changes", "said"),
    [
        ((), {"runs_dir": "runs"}, "runs_dir: runs is relative"),
        (("--stage", "correct"), {}, "stage 'correct': not one of run, collect"),
        (("--address", "http://10.1.2.3:8265"), {}, "RAY_AUTH_MODE is not token"),
        (("--address", "http://127.0.0.1:9"), {}, "no Ray cluster takes jobs at http://127.0.0.1:9"),
    ],
)
def test_bad_input_is_one_line(options: tuple[str, ...], changes: dict[str, str], said: str, tmp_path: Path) -> None:
    config = write_config(tmp_path, "bad", **changes)
    stand_in = OwnCluster("http://127.0.0.1:9", None, dict(os.environ) | {"RAY_AUTH_MODE": "disabled"})  # type: ignore[arg-type]
    code, text = ended(submit(stand_in, config, *options))
    assert code == 2 and said in text, text
    assert text.count("\n") == 1
