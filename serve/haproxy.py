"""HAProxy in front of the replicas, in the place of Ray Serve's own proxy. Called by `lema serve --haproxy`.

Serve's proxy is Python and hands every piece of a stream on through Ray; HAProxy talks to the replicas itself. Serve
starts and configures it, by variables that it reads when it is imported, so this comes before.
Source: https://docs.ray.io/en/latest/serve/advanced-guides/performance.html
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

from lema_ray.config import ConfigError
from lema_ray.engines.launch import free_port

DRAINING_S = 5
"""How long a replica that is to go still takes requests: Serve's half a minute is for balancers further away."""


def put_haproxy_in_front(address: str | None) -> None:
    """Say so to the cluster that will be started here. Raises `ConfigError` where there is one already."""
    if address := address or os.environ.get("RAY_ADDRESS"):
        raise ConfigError(
            f"{address} runs already, and its proxy was chosen then: set RAY_SERVE_ENABLE_HA_PROXY=1 where it is "
            "started, and leave --haproxy out"
        )
    # Two servers on one machine would write over each other's files and meet at the same ports.
    folder = Path(tempfile.mkdtemp(prefix="lema-haproxy-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    own = {
        "CONFIG_FILE_LOC": folder / "haproxy.cfg",
        "SOCKET_PATH": folder / "admin.sock",
        "SERVER_STATE_BASE": folder,
        "SERVER_STATE_FILE": folder / "server-state",
        "METRICS_SOCKET_PATH": folder / "metrics.sock",
        "METRICS_PORT": free_port(),
        "STATS_PORT": free_port(),
        "NBTHREAD": min(4, os.cpu_count() or 1),
    }
    settings = {f"RAY_SERVE_HAPROXY_{name}": str(value) for name, value in own.items()}
    settings["RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S"] = str(DRAINING_S)
    # Three checks in a row must fail before a proxy that died is started again.
    settings["RAY_SERVE_PROXY_HEALTH_CHECK_PERIOD_S"] = "1"
    for name, value in settings.items():
        os.environ.setdefault(name, value)
    os.environ["RAY_SERVE_ENABLE_HA_PROXY"] = "1"
