"""Kill a driver, and wait until nothing of its run is left."""

import os
import signal
import subprocess

import psutil


def kill_driver(driver: subprocess.Popen[bytes]) -> None:
    """`kill -9` for a driver in a session of its own; its cluster is left to notice by itself."""
    family = psutil.Process(driver.pid).children(recursive=True)
    os.killpg(driver.pid, signal.SIGKILL)
    driver.wait()
    wait_gone(family)


def wait_gone(family: list[psutil.Process]) -> None:
    """Wait for processes that are about to end; one that does not is killed."""
    _, left = psutil.wait_procs(family, timeout=15)
    for process in left:
        process.kill()
    psutil.wait_procs(left, timeout=15)
