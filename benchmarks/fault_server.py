"""A `lema fault-server` in a process of its own, for benchmarks that ask one."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def fault_server(*options: object) -> Iterator[str]:
    """Its address, for as long as the body runs."""
    command = [sys.executable, "-m", "lema_ray.cli", "fault-server", *map(str, options)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        try:
            yield server.stdout.readline().split()[-1]
        finally:
            server.terminate()
