"""One comparison at a time in a process that can be killed: the parent's handle, and the loop the child runs.

Used by `pool` only. A plain subprocess with JSON lines rather than `multiprocessing`: it does not import the parent's
`__main__` again (so scripts need no guard), it can be started from any thread, nothing is unpickled, and it ends by
itself when the parent dies, because its input ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from typing import Any

from lema_ray.grading.compare import Comparison

START_LIMIT_S = 120.0
MEMORY_BYTES = 3 * 2**30
_STARTING = threading.Lock()


class Child:
    """A process for slow comparisons: started on first use, killed when one overruns, started anew for the next.

    Not for two threads at once.
    """

    def __init__(self, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0

    @property
    def pid(self) -> int | None:
        """The process id, None while there is no process."""
        return self._process.pid if self._process else None

    def compare(self, answer: str, reference: str) -> Comparison:
        """`compare_symbolically` with a clock that starts when the child starts to work.

        Raises `RuntimeError` when there can be no child at all, never because of what is compared.
        """
        try:
            self._start()
            return Comparison(*self._ask([answer, reference]))
        except TimeoutError:
            self.close()
            return Comparison("unsure", "timeout", f"the comparison took more than {self.timeout_s:g} s")
        except (OSError, EOFError, ValueError) as error:
            self.close()
            return Comparison("unsure", "crash", f"the comparison ended its process: {error}")

    def _start(self) -> None:
        if self._owner != os.getpid():
            self._process = None  # after a fork the child belongs to the other process
        if self._process is not None and self._process.poll() is None:
            return
        self.close()
        with _STARTING:  # one at a time: starting takes a core for a second
            self._owner = os.getpid()
            self._process = _open_process(self.timeout_s)
            try:
                greeting = self._read(START_LIMIT_S)
            except (OSError, EOFError, ValueError) as error:  # a TimeoutError is an OSError
                greeting = repr(error)
        if greeting != "ready":
            self.close()
            raise RuntimeError(f"The grading process cannot start: {greeting}. Is math-verify installed?")

    def _ask(self, request: Any) -> Any:
        assert self._process is not None and self._process.stdin is not None
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        self._process.stdin.flush()
        return self._read(self.timeout_s)

    def _read(self, limit_s: float) -> Any:
        assert self._process is not None and self._process.stdout is not None
        stream, line, end = self._process.stdout.fileno(), b"", time.monotonic() + limit_s
        while not line.endswith(b"\n"):
            if not _readable(stream, end - time.monotonic()):
                raise TimeoutError
            part = os.read(stream, 65_536)
            if not part:
                raise EOFError(f"exit status {self._process.wait()}")
            line += part
        return json.loads(line)

    def close(self) -> None:
        """Kill the process, if there is one, and wait until it is gone."""
        process, self._process = self._process, None
        if process is None or self._owner != os.getpid():
            return
        process.kill()
        for stream in (process.stdin, process.stdout):
            with contextlib.suppress(OSError):
                stream.close()  # type: ignore[union-attr]
        process.wait()


def _readable(stream: int, seconds: float) -> bool:
    poll = select.poll()  # select.select fails on descriptors above 1023, which a Ray worker has
    poll.register(stream, select.POLLIN | select.POLLHUP)
    return bool(poll.poll(max(0, int(seconds * 1000) + 1)))


def _open_process(timeout_s: float) -> subprocess.Popen[bytes]:
    paths = [path or os.getcwd() for path in sys.path]
    return subprocess.Popen(
        [sys.executable, "-P", "-c", f"from lema_ray.grading.child import serve; serve({timeout_s!r})"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        start_new_session=True,  # Ctrl-C is the parent's business
    )


def serve(timeout_s: float) -> None:
    """The child: limit its memory, say `ready`, answer [answer, reference] lines until the input ends.

    Its own alarm kills it when the parent died during a comparison and nobody else will.
    """
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)  # what a library prints must not end up among the replies
    try:
        from lema_ray.grading.symbolic import load

        load()
    except Exception as error:
        replies.write(json.dumps(repr(error)) + "\n")
        return
    replies.write('"ready"\n')
    for line in sys.stdin.buffer:
        signal.setitimer(signal.ITIMER_REAL, 2 * timeout_s + 5)
        replies.write(json.dumps(_answer(*json.loads(line))) + "\n")
        signal.setitimer(signal.ITIMER_REAL, 0)


def _answer(answer: str, reference: str) -> list[str | None]:
    from lema_ray.grading.symbolic import compare_symbolically

    try:
        found = compare_symbolically(answer, reference)
    except (Exception, RecursionError, MemoryError) as error:
        return ["unsure", "error", f"{type(error).__name__} while comparing"]
    return [found.verdict, found.rule, found.reason]
