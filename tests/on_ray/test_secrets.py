"""A planted key is nowhere in what a run leaves behind, nor in what it shows while it runs."""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest
import yaml
from on_ray_config import small

from lema_ray.demo.server import ServerOptions, running
from lema_ray.engines import EngineUnavailable
from lema_ray.on_ray.flow import Flow
from lema_ray.records import GradedQuestion
from lema_ray.runs import RunFolder

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]
KEY = "sk-planted-7f3a9c21e5"
HERE = Path(__file__).parent


def files_with_the_key(*folders: Path) -> list[str]:
    found = []
    for folder in folders:
        for path in folder.rglob("*"):
            if path.is_file() and not path.is_symlink() and KEY.encode() in path.read_bytes():
                found.append(str(path))
    return found


def collect(
    tmp_path: Path, ray_folder: str, name: str, url: str, key: str, logs: str = "plain"
) -> tuple[int, str, set[str]]:
    """Exit code, all output, and every command line seen meanwhile."""
    engine = {
        "type": "openai",
        "model": "rule-based-teacher",
        "base_url": url,
        "api_key_env": "PLANTED",
        "max_retries": 0,
    }
    config = tmp_path / f"{name}.yaml"
    changes = {"corrector": {"engine": engine}, "ray": {"logs": logs, "num_cpus": 4}}
    config.write_text(yaml.safe_dump(small(tmp_path / "runs", name=name, **changes)))
    path = os.pathsep.join([str(HERE), str(HERE.parents[1])])
    environment = {k: v for k, v in os.environ.items() if k != "RAY_ADDRESS"}
    environment |= {"PYTHONPATH": path, "PLANTED": key, "RAY_TMPDIR": ray_folder}
    command = [sys.executable, "-m", "lema_ray.cli", "collect", str(config)]
    shown: set[str] = set()
    with (tmp_path / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
        while process.poll() is None:
            for one in psutil.process_iter(["cmdline"]):
                shown.add(" ".join(one.info["cmdline"] or ()))
            time.sleep(0.2)
    return process.returncode, (tmp_path / f"{name}.log").read_text(), shown


def check_structured(run: RunFolder, output: str, ray_folder: Path) -> None:
    """The driver's lines have run and stage, the workers' the question too: one for each that was dropped."""
    driver = lines_of(output)
    said = {(line["run"], line["stage"], line["message"]) for line in driver}
    assert said >= {("right", "collect", "begins"), ("right", "collect", "is done")}
    assert any(stage == "corrections" and message.endswith("of 60 rows") for _, stage, message in said)
    workers = [line for file in ray_folder.rglob("worker-*.err") for line in lines_of(file.read_text())]
    dropped = [(line["question"], line["reason"]) for line in workers if line["message"].startswith("dropped")]
    rows = run.read_records(GradedQuestion, "collected")
    assert sorted(dropped) == sorted((row.question.id, drop.reason) for row in rows for drop in row.drops) != []
    assert {(line["run"], line["stage"]) for line in workers if "reason" in line} == {("right", "corrections")}
    assert all(line["actor_id"] and line["node_id"] for line in workers)


def lines_of(text: str) -> list[dict[str, str]]:
    found = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    return [line for line in found if line["name"] == "lema_ray"]


def test_a_key_is_left_nowhere(tmp_path: Path) -> None:
    # Ray's sockets need a short path.
    options = ServerOptions(api_key=KEY, error_rate=0.5)
    with tempfile.TemporaryDirectory(prefix="lr") as ray_folder, running(options) as url:
        code, output, shown = collect(tmp_path, ray_folder, "right", url, KEY, logs="json")
        assert code == 0, output
        assert list((tmp_path / "runs" / "right" / "paid").iterdir()), "the key was used"
        assert list(Path(ray_folder).rglob("*.log")), "Ray's logs are among what is searched"
        assert not files_with_the_key(tmp_path, Path(ray_folder))
        check_structured(RunFolder(f"{tmp_path}/runs/right"), output, Path(ray_folder))
        assert any("raylet" in line for line in shown) and not any(KEY in line for line in shown)


def test_a_refused_key_is_not_shown(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="lr") as ray_folder, running(ServerOptions(api_key="another")) as url:
        code, output, _ = collect(tmp_path, ray_folder, "wrong", url, KEY)
        assert code == 2 and "refused the key in PLANTED" in output
        assert not files_with_the_key(tmp_path, Path(ray_folder))


@pytest.mark.parametrize("role", ["corrector", "evaluate"])
def test_a_missing_key_is_one_line_before_anything_runs(cluster, make_config, role: str) -> None:
    engine = {"type": "openai", "model": "m", "base_url": "https://api.example.com/v1", "api_key_env": "NOT_THERE"}
    changes = {"corrector": {"engine": engine}, "evaluate": {"models": {"other": engine}}}
    flow = Flow(make_config(**{role: changes[role]}))
    with pytest.raises(EngineUnavailable, match=r"no API key .*environment variable NOT_THERE") as missing:
        flow.check()
    assert "\n" not in str(missing.value) and not flow.run.exists("questions")
