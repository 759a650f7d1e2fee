"""`serve deploy` of the shipped config on a cluster that runs already, as an operator does it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import httpx
import pytest
import yaml
from endpoint import ready, wait_until

from lema_ray.engines.launch import free_port

REPOSITORY = Path(__file__).parents[2]
sys.path.insert(0, str(REPOSITORY / "tests" / "on_ray"))
SERVE = str(Path(sys.executable).parent / "serve")

pytestmark = [pytest.mark.serve, pytest.mark.ray, pytest.mark.vllm, pytest.mark.timeout(600)]


def test_the_shipped_config_is_deployed_and_answers(tmp_path: Path, tiny_model: Path) -> None:
    from own_cluster import own_cluster

    config = yaml.safe_load((REPOSITORY / "serve" / "config.yaml").read_text())
    port = config["http_options"]["port"] = free_port()
    config["applications"][0]["args"] |= {"model": str(tiny_model), "engine": {"cpu_kv_cache_gb": 0.25}}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    with own_cluster(4, PYTHONPATH=str(REPOSITORY)) as cluster:
        deploy = [SERVE, "deploy", "--address", cluster.address, str(tmp_path / "config.yaml")]
        done = subprocess.run(deploy, env=cluster.environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: ready(url), 300, lambda: _status(cluster.address, cluster.environment))
        ask = {"messages": [{"role": "user", "content": "Tom has 2 apples."}], "max_tokens": 4}
        answer = httpx.post(f"{url}/v1/chat/completions", json=ask, timeout=60).json()
        assert answer["usage"]["completion_tokens"] >= 1, answer
        status = yaml.safe_load(_status(cluster.address, cluster.environment))
        assert status["applications"]["word-problems"]["status"] == "RUNNING", status


def _status(address: str, environment: dict[str, str]) -> str:
    status = [SERVE, "status", "--address", address]
    return subprocess.run(status, env=environment, capture_output=True, text=True).stdout
