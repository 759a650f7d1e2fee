"""One program run once: start the sandbox, hand it the job, read a bounded reply, kill whatever is left."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from lema_ray.config.sandbox import SandboxConfig
from lema_ray.sandbox.command import FOLDER, SandboxUnavailable, environment, sandboxed

Kind = Literal["value", "error", "timeout"]
Ending = Literal["finished", "exited", "killed", "stalled", "too_much_output", "not_started"]
SOURCE = (Path(__file__).parent / "inside.py").read_text(encoding="utf-8")
HELP = (
    "Programs are run only where they can be isolated: as root, or where unprivileged user namespaces are permitted "
    "(sysctl user.max_user_namespaces, and on Ubuntu kernel.apparmor_restrict_unprivileged_userns=0; a container needs "
    "--security-opt seccomp=unconfined or CAP_SYS_ADMIN). On a machine that is thrown away afterwards, "
    "sandbox: {isolation: limits_only} runs them with limits alone."
)


@dataclass(frozen=True, slots=True)
class Result:
    """What loading the program or one call came to: a value as Python text, the kind of an error, or out of time."""

    kind: Kind
    text: str = ""


@dataclass(frozen=True, slots=True)
class Ran:
    """One run: how it ended, how loading went, and the results of the first calls, fewer than asked if it ended early.

    `exited`: the program ended its process; `killed`: by a limit or a crash; `stalled`: no CPU used up, but the time;
    `not_started`: the sandbox itself failed.
    """

    ending: Ending
    loaded: Result | None = None
    results: tuple[Result, ...] = ()


def run_program(program: str, calls: Sequence[str], config: SandboxConfig) -> Ran:
    """Load `program` in a sandbox of its own and evaluate the expressions `calls` there, one after the other.

    Raises `SandboxUnavailable` where programs cannot be isolated, and never for anything that the program does.
    """
    check_sandbox(config)
    return _run(program, calls, config)


@functools.cache
def check_sandbox(config: SandboxConfig) -> None:
    """Try the sandbox once with a program that does nothing. Raises `SandboxUnavailable`."""
    with tempfile.TemporaryDirectory(prefix="lema-box-") as root:
        command = sandboxed(config, root, SOURCE)
        job = _job("", ["6 * 7"], config, root)
        try:
            done = subprocess.run(command, input=job, capture_output=True, env=environment(), timeout=60, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise SandboxUnavailable(f"sandbox: {error}. {HELP}") from None
    if b'["value", "42"]' not in done.stdout:
        said = done.stderr.decode(errors="replace").strip()[-300:]
        raise SandboxUnavailable(f"sandbox: {said or f'exit status {done.returncode}'}. {HELP}")


def _job(program: str, calls: Sequence[str], config: SandboxConfig, root: str) -> bytes:
    folder = root if config.isolation == "limits_only" else FOLDER
    return json.dumps({"program": program, "calls": list(calls), "seconds": config.call_s, "folder": folder}).encode()


def _run(program: str, calls: Sequence[str], config: SandboxConfig) -> Ran:
    with tempfile.TemporaryDirectory(prefix="lema-box-") as root:
        process = subprocess.Popen(
            sandboxed(config, root, SOURCE),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment(),
            cwd="/",
            start_new_session=True,
        )
        try:
            text, ending = _converse(process, _job(program, calls, config, root), config)
        finally:
            _kill(process)
    return _read(text, ending, len(calls), process.returncode)


def _converse(process: subprocess.Popen[bytes], job: bytes, config: SandboxConfig) -> tuple[bytes, Ending]:
    assert process.stdin is not None and process.stdout is not None
    reading, writing = process.stdout.fileno(), process.stdin.fileno()
    os.set_blocking(writing, False)
    poll, end, text = select.poll(), time.monotonic() + config.wall_s, b""
    poll.register(reading, select.POLLIN | select.POLLHUP)
    poll.register(writing, select.POLLOUT)
    while (left := end - time.monotonic()) > 0:
        for stream, _ in poll.poll(left * 1000 + 1):
            if stream == writing:
                job = job[_write(writing, job) :]
                if not job:
                    poll.unregister(writing)
                    process.stdin.close()
                continue
            part = os.read(reading, 65_536)
            text += part
            if not part:
                return text, "finished"
            if len(text) > config.output_kb * 1024:
                return text, "too_much_output"
    return text, "stalled"


def _write(stream: int, job: bytes) -> int:
    try:
        return os.write(stream, job)
    except BlockingIOError:
        return 0
    except BrokenPipeError:
        return len(job)  # nobody reads any more; what is said of it is in the reply


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End everything: process 1 of the namespace dies with `unshare`, and the rest with process 1."""
    if process.stdout is not None and process.poll() is None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.05)  # at its end anyway: its exit status tells how it ended
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    for stream in (process.stdin, process.stdout):
        with contextlib.suppress(OSError):
            stream.close()  # type: ignore[union-attr]
    process.wait()


def _read(text: bytes, ending: Ending, calls: int, status: int) -> Ran:
    lines = [_line(line) for line in text.split(b"\n")[:-1]]
    if not lines or lines[0] is None or lines[0].text != "ready":
        return Ran(ending if ending != "finished" else "not_started")
    told = [line for line in lines[1 : calls + 2] if line is not None]
    loaded, results = (told[0], tuple(told[1:])) if told else (None, ())
    if ending == "finished" and (loaded is None or (loaded.kind == "value" and len(results) < calls)):
        ending = "exited" if 0 <= status < 128 else "killed"
    return Ran(ending, loaded, results)


def _line(line: bytes) -> Result | None:
    """A line of the reply, None where the program wrote what `inside` never would."""
    try:
        said = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if said == "ready":
        return Result("value", "ready")
    if isinstance(said, list) and len(said) == 2 and said[0] in get_args(Kind) and isinstance(said[1], str):
        return Result(said[0], said[1])
    return None
