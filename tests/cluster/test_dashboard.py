"""The dashboard and the alerts: what they ask for is what a run exports, and a real Prometheus understands it."""

import json
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard
from prometheus_server import GRAFANA, expressions, prometheus, query

from lema_ray.on_ray.metrics import COUNTERS, GAUGES

NAMES = set(COUNTERS) | set(GAUGES)


def test_only_metrics_that_exist_are_asked_for() -> None:
    asked = " ".join(expressions().values()) + (GRAFANA / "alerts.yaml").read_text()
    found = set(re.findall(r"\bray_(lema_\w+)", asked))
    assert found <= NAMES, found - NAMES
    shown = set(re.findall(r"\bray_(lema_\w+)", " ".join(expressions().values())))
    assert shown == NAMES - {
        "lema_attempts_total",
        "lema_requests_total",
        "lema_money_total",
        "lema_last_progress_seconds",
        "lema_lost_reports_total",
    }


def test_labels_in_queries_are_labels_of_the_metric() -> None:
    for where, expression in expressions().items():
        for name, selector in re.findall(r"ray_(lema_\w+)\{([^}]*)\}", expression):
            labels = set(re.findall(r"(\w+)=", selector))
            assert labels <= set((COUNTERS | GAUGES)[name][1]), where


def test_the_servers_dashboard_asks_for_every_metric_of_the_server_and_no_other() -> None:
    from prometheus_client import REGISTRY

    import serve.metrics  # noqa: F401  (it registers them)

    samples = {"counter": ("_total",), "histogram": ("_bucket",), "gauge": ("",)}
    made = {m.name + ending for m in REGISTRY.collect() for ending in samples.get(m.type, ())}
    asked = set(re.findall(r"\blema_\w+", " ".join(expressions("serving.json").values())))
    assert asked == {name for name in made if name.startswith("lema_")}


@pytest.mark.parametrize("name", ["lema.json", "serving.json"])
def test_a_dashboard_is_one_that_grafana_imports(name: str) -> None:
    dashboard = json.loads((GRAFANA / name).read_text())
    panels = dashboard["panels"]
    assert len({p["id"] for p in panels}) == len(panels) and dashboard["uid"] and dashboard["schemaVersion"] >= 36
    places = [(p["gridPos"]["x"], p["gridPos"]["y"]) for p in panels]
    assert len(set(places)) == len(places) and all(p["gridPos"]["x"] + p["gridPos"]["w"] <= 24 for p in panels)
    assert all(t["datasource"]["uid"] == "${source}" for p in panels for t in p["targets"])


@pytest.mark.parametrize("name", ["lema.json", "serving.json"])
def test_a_dashboard_has_nothing_that_is_not_in_grafanas_own_schema(name: str) -> None:
    """Read by the classes that Grafana generates from its schema, which leave out what they do not know."""
    register_default_plugins()  # without them panels and queries are taken as they are
    dashboard = json.loads((GRAFANA / name).read_text())
    assert not list(_left_out(dashboard))
    query = dashboard["panels"][0]["targets"][0]
    query["legend"] = query.pop("legendFormat", "")
    assert list(_left_out(dashboard)) == [".panels[0].targets[0].legend"]


def _left_out(dashboard: dict[str, Any]) -> Iterator[str]:
    """Where something of a dashboard is gone or another after it was read; what is added are defaults."""
    understood = json.loads(json.dumps(Dashboard.from_json(dashboard), cls=JSONEncoder))
    return _differences(dashboard, understood, "")


def _differences(ours: Any, theirs: Any, where: str) -> Iterator[str]:
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key, value in ours.items():
            yield from _differences(value, theirs.get(key, "left out"), f"{where}.{key}")
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for number, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            yield from _differences(one, other, f"{where}[{number}]")
    elif ours != theirs:
        yield where


def test_prometheus_takes_every_rule_and_query(tmp_path: Path) -> None:
    if shutil.which("promtool") is None:
        pytest.skip("no promtool here (Debian package `prometheus`)")
    checked = subprocess.run(
        ["promtool", "check", "rules", str(GRAFANA / "alerts.yaml")], capture_output=True, text=True
    )
    assert checked.returncode == 0 and "5 rules found" in checked.stdout, checked.stdout + checked.stderr
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with prometheus("127.0.0.1:9", port, tmp_path) as address:
        for expression in (*expressions().values(), *expressions("serving.json").values()):
            query(address, expression)
