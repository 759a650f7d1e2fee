"""A real Prometheus process on loopback that scrapes one address, and questions to it."""

import json
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

GRAFANA = Path(__file__).parents[1] / "cluster" / "grafana"


@contextmanager
def prometheus(target: str, port: int, folder: Path) -> Iterator[str]:
    """Serve until the body ends; yields its address. Skips where Prometheus is not installed."""
    if shutil.which("prometheus") is None:
        pytest.skip("no prometheus here (Debian package `prometheus`)")
    scrape = [{"job_name": "ray", "static_configs": [{"targets": [target]}]}]
    rules = [str(GRAFANA / "alerts.yaml")]
    config = {"global": {"scrape_interval": "1s"}, "scrape_configs": scrape, "rule_files": rules}
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
    command = ["prometheus", f"--config.file={folder}/prometheus.yaml", f"--storage.tsdb.path={folder}/data"]
    command.append(f"--web.listen-address=127.0.0.1:{port}")
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait(lambda: _get(f"http://127.0.0.1:{port}/-/ready"), server)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.kill()
        server.wait()


def query(address: str, expression: str) -> list[dict[str, Any]]:
    """The series of an instant query. Raises on an expression that Prometheus does not take."""
    found = json.loads(_get(f"{address}/api/v1/query?{urllib.parse.urlencode({'query': expression})}"))
    assert found["status"] == "success", found
    return list(found["data"]["result"])


def expressions(name: str = "lema.json") -> dict[str, str]:
    """Every expression of a dashboard by its panel, for all runs."""
    dashboard = json.loads((GRAFANA / name).read_text())
    targets = [(p["title"], t) for p in dashboard["panels"] for t in p["targets"]]
    return {f"{title} {t['refId']}": t["expr"].replace("$run", ".*") for title, t in targets}


def _get(url: str) -> str:
    return str(urllib.request.urlopen(url, timeout=10).read().decode())


def _wait(ready: Any, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert server.poll() is None, "prometheus ended"
        try:
            ready()
            return
        except OSError:
            time.sleep(0.2)
    raise AssertionError("prometheus was not ready in 60 s")
