"""A Ray cluster of a test's own, made by `ray start` with a token, that takes jobs."""

import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

RAY = str(Path(sys.executable).parent / "ray")


@dataclass(frozen=True)
class OwnCluster:
    """Its dashboard, its head process, and the environment in which commands reach it."""

    address: str
    server: subprocess.Popen[bytes]
    environment: dict[str, str]


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


@contextmanager
def own_cluster(cpus: int, **more: str) -> Iterator[OwnCluster]:
    """A cluster that its user alone stops. `more` is environment for its nodes and jobs."""
    port, dashboard_port, client, agent, metrics = free_ports(5)
    address = f"http://127.0.0.1:{dashboard_port}"
    command = [RAY, "start", "--head", "--block", f"--num-cpus={cpus}", f"--port={port}", "--node-ip-address=127.0.0.1"]
    command += [f"--dashboard-port={dashboard_port}", f"--ray-client-server-port={client}", "--disable-usage-stats"]
    # The cluster of the other tests has an agent as well, at the usual port.
    command += [f"--dashboard-agent-listen-port={agent}", f"--metrics-export-port={metrics}"]
    environment = {k: v for k, v in os.environ.items() if k not in ("RAY_ADDRESS", "PYTHONPATH")} | more
    environment |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32), "RAY_TMPDIR": f"/tmp/lema{port}"}
    environment |= {"LEMA_TEST_METRICS": f"127.0.0.1:{metrics}", "RAY_metrics_report_interval_ms": "1000"}
    server = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        cluster = OwnCluster(address, server, environment)
        _wait_until_it_takes_jobs(cluster)
        yield cluster
    finally:
        _end(server)


def _end(server: subprocess.Popen[bytes]) -> None:
    """Everything at once: `ray start` itself gives its processes half a minute to leave, and no test looks at that."""
    family = psutil.Process(server.pid).children(recursive=True)
    server.kill()
    for process in family:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    server.wait(timeout=60)
    psutil.wait_procs(family, timeout=60)


def _wait_until_it_takes_jobs(cluster: OwnCluster) -> None:
    """The dashboard answers before the agent that starts jobs is there, so readiness is a job that was taken."""
    deadline = time.monotonic() + 180
    said = ""
    while time.monotonic() < deadline:
        assert cluster.server.poll() is None, "ray start ended"
        command = [RAY, "job", "submit", "--address", cluster.address, "--no-wait", "--", "true"]
        done = subprocess.run(command, env=cluster.environment, capture_output=True, text=True)
        if done.returncode == 0:
            return
        said = done.stderr[-500:]
    raise AssertionError(f"{cluster.address} took no job in 180 s: {said}")
