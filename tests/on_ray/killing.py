"""Find the processes of a run or of a server by what they are called; kill a driver, wait until its run is gone."""

import os
import signal
import subprocess

import psutil


def descendants(of: int, *words: str) -> list[psutil.Process]:
    """The living processes below one, by id, whose command line has every word; none where that one is gone."""
    try:
        family = psutil.Process(of).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
    return [p for p in family if all(word in command_line(p) for word in words)]


def command_line(process: psutil.Process) -> str:
    """A process's command line, in words; of one that has just ended, nothing: psutil raises there."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def kill_driver(driver: subprocess.Popen[bytes]) -> None:
    """`kill -9` for a driver in a session of its own; its cluster is left to notice by itself."""
    family = descendants(driver.pid)
    os.killpg(driver.pid, signal.SIGKILL)
    driver.wait()
    wait_gone(family)


def wait_gone(family: list[psutil.Process]) -> None:
    """Wait for processes that are about to end; one that does not is killed."""
    _, left = psutil.wait_procs(family, timeout=15)
    for process in left:
        process.kill()
    psutil.wait_procs(left, timeout=15)
