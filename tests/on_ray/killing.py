"""Kill a driver and all that it started, at once, as a machine does that loses its power."""

import contextlib
import subprocess

import psutil


def kill_all(driver: subprocess.Popen[bytes]) -> None:
    """`kill -9` for the whole family; comes back when nothing of it is left."""
    family = psutil.Process(driver.pid).children(recursive=True)
    driver.kill()
    for process in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    driver.wait()
    psutil.wait_procs(family, timeout=60)
