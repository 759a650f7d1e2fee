"""Hosts for tests: each with a network, process table, /tmp/ray and shared memory of its own, on one machine.

Linux namespaces joined by a bridge, so a host can be killed as by a power cut or cut off from the others. Needs root,
iproute2 and unshare. Addresses are 10.(77+n).0.x, names begin with the test's process id.
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil


def why_not() -> str | None:
    """Why hosts cannot be made here; None when they can."""
    if os.geteuid() != 0:
        return "needs root for network namespaces"
    missing = [tool for tool in ("ip", "tc", "unshare", "nsenter") if shutil.which(tool) is None]
    if missing:
        return f"needs {', '.join(missing)} (iproute2, util-linux)"
    name = f"lt{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True)
    subprocess.run(["ip", "netns", "del", name], capture_output=True)
    return None if made.returncode == 0 else f"namespaces are not allowed here: {made.stderr.strip()}"


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)


@dataclass
class Host:
    """One host; `start` boots it with a command, and it is off when that ends."""

    network: "Network"
    name: str
    address: str
    folder: Path
    init: psutil.Process | None = None
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, *command: str, **environment: str) -> None:
        """Boot with one command as its only service."""
        setup = (
            f"hostname {self.name}; mkdir -p /tmp/ray; mount --bind {self.folder} /tmp/ray; "
            'mount -t tmpfs -o size=400m tmpfs /dev/shm; exec "$@"'
        )
        inside = ["unshare", "-m", "-u", "-p", "-f", "--kill-child", "--mount-proc", "--propagation", "private"]
        whole = ["ip", "netns", "exec", self.name, *inside, "bash", "-c", setup, "_", *command]
        with (self.folder.parent / f"{self.name}.log").open("ab") as log:
            process = subprocess.Popen(
                whole, env=os.environ | environment, stdout=log, stderr=log, start_new_session=True
            )
        self.started.append(process)
        self.init = self._first(process)

    def _first(self, process: subprocess.Popen[bytes]) -> psutil.Process:
        """The first process of the host's own process table: `unshare` is the process, its child is the host."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            assert process.poll() is None, self.log()
            with suppress(psutil.NoSuchProcess):
                for child in psutil.Process(process.pid).children(recursive=True):
                    if os.readlink(f"/proc/{child.pid}/ns/pid") != os.readlink("/proc/self/ns/pid"):
                        return child
            time.sleep(0.05)
        raise AssertionError(f"{self.name} did not boot")

    def run(self, *command: str, **environment: str) -> subprocess.Popen[str]:
        """A command on the host."""
        assert self.init is not None
        enter = ["nsenter", "-t", str(self.init.pid), "-n", "-m", "-p", "-u", *command]
        return subprocess.Popen(
            enter, env=os.environ | environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def kill(self) -> None:
        """A power cut."""
        if self.init is not None:
            with suppress(psutil.NoSuchProcess):
                self.init.send_signal(signal.SIGKILL)
            self.started[-1].wait(timeout=30)
            self.init = None

    def link(self, state: str) -> None:
        """`down` pulls the network cable, `up` puts it back."""
        ip("-n", self.name, "link", "set", "eth0", state)

    def slow(self, rate: str) -> None:
        """What the host sends goes at so much a second (`1mbit`); what waits longer than half a second is lost."""
        shape = ["tbf", "rate", rate, "burst", "32kbit", "latency", "500ms"]
        tc = ["ip", "netns", "exec", self.name, "tc", "qdisc", "replace", "dev", "eth0", "root", *shape]
        subprocess.run(tc, check=True, capture_output=True, text=True)

    def log(self) -> str:
        return (self.folder.parent / f"{self.name}.log").read_text()[-3000:]


@dataclass
class Network:
    """The bridge that joins the hosts."""

    folder: Path
    tag: str
    hosts: dict[str, Host] = field(default_factory=dict)

    def host(self, name: str) -> Host:
        """A new host that is off."""
        number = len(self.hosts) + 1
        full, cable = f"{self.tag}{name}", f"{self.tag}c{number}"
        ip("netns", "add", full)
        ip("link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", full)
        ip("link", "set", cable, "master", f"{self.tag}br", "up")
        ip("-n", full, "addr", "add", f"10.77.{os.getpid() % 250}.{number}/24", "dev", "eth0")
        for device in ("lo", "eth0"):
            ip("-n", full, "link", "set", device, "up")
        (self.folder / full).mkdir()
        self.hosts[name] = Host(self, full, f"10.77.{os.getpid() % 250}.{number}", self.folder / full)
        return self.hosts[name]


@contextmanager
def network(folder: Path) -> Iterator[Network]:
    """A network without hosts; all of them are gone when the body ends."""
    made = Network(folder, f"l{os.getpid() % 100000}")
    ip("link", "add", f"{made.tag}br", "type", "bridge")
    ip("link", "set", f"{made.tag}br", "up")
    try:
        yield made
    finally:
        for host in made.hosts.values():
            host.kill()
            left = subprocess.run(["ip", "netns", "pids", host.name], capture_output=True, text=True).stdout.split()
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            subprocess.run(["ip", "netns", "del", host.name], capture_output=True)
        subprocess.run(["ip", "link", "del", f"{made.tag}br"], capture_output=True)
