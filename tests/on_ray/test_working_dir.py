"""What a job brings: small, without secrets, runs or weights; and a job of another version. No Ray is started."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from on_ray_config import small

from lema_ray.config import ConfigError, parse_config
from lema_ray.on_ray.same_versions import VARIABLE
from lema_ray.on_ray.working_dir import pack

REPOSITORY = Path(__file__).parents[2]


def test_what_is_too_large_is_named(tmp_path: Path) -> None:
    config = parse_config(small(tmp_path))
    checkout = tmp_path / "checkout"
    for name in ("jobs/run.py", "lema_ray/a.py", "data/questions.jsonl", ".env", "runs/x/y", "model.safetensors"):
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout / name).write_text("x" * 1000)
    with (checkout / "data" / "questions.jsonl").open("wb") as file:
        file.truncate(60_000_000)
    with pytest.raises(ConfigError, match=r"60 MB to upload, at most 50; the largest: data/questions.jsonl \(60 MB\)"):
        pack(config, checkout, tmp_path / "out")
    assert pack(config, checkout, tmp_path / "out", ["data"]) < 0.1
    packed = {str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*") if p.is_file()}
    assert packed == {"jobs/run.py", "lema_ray/a.py", "run.yaml"}, "no secrets, no runs, no weights"
    with pytest.raises(ConfigError, match=r"no jobs/run\.py there"):
        pack(config, tmp_path, tmp_path / "other")


def test_this_checkout_is_small(tmp_path: Path) -> None:
    assert pack(parse_config(small(tmp_path)), REPOSITORY, tmp_path / "out") < 5


def test_a_job_of_another_version_is_refused(tmp_path: Path) -> None:
    config = tmp_path / "other.yaml"
    config.write_text(json.dumps(small(tmp_path, name="other")))
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY), VARIABLE: json.dumps({"lema-ray": "9.9"})}
    command = [sys.executable, "jobs/collect.py", "--config", str(config)]
    done = subprocess.run(command, env=environment, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 1 and "lema-ray 9.9 there" in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "other").exists()
