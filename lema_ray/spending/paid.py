"""The paid log: every completion of a paid endpoint, written down the moment it arrives, before it is used.

Files are `paid/*.jsonl` in the run folder, one writer each. `engines.replay` appends to them, `paid_index` finds in
them what a killed run had received. On a local (or shared) file system a line is in the kernel's hands before the
completion is used, so that no `kill -9` loses it. Object storage cannot append: there lines wait for at most
`PART_SECONDS` or `PART_BYTES` before they become a part file, and that is what a kill can lose.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from lema_ray.records import Completion, Message, Sampling
from lema_ray.runs import RunFolder

FOLDER = "paid"
PART_SECONDS = 2.0
PART_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Paid:
    """One completion and what it answers. `reason` and `detail` are set when it was charged for but is of no use."""

    key: str
    row: str
    completion: Completion
    reason: str | None = None
    detail: str = ""


def request_key(scope: Sequence[str], model: str, messages: Sequence[Message], sampling: Sampling, number: int) -> str:
    """32 hex digits for the `number`-th request of this content in this scope (a stage and a question).

    Scope and number keep k samples of one prompt k samples, and tie what was paid to the one row that counts it.
    """
    content = [*scope, model, [[m.role, m.content] for m in messages], asdict(sampling), number]
    return hashlib.blake2b(json.dumps(content).encode(), digest_size=16).hexdigest()


class PaidLog:
    """The file of one writer. Safe to append to from several threads of its process."""

    def __init__(self, run: RunFolder, writer: str) -> None:
        self._run, self._writer = run, writer
        self._lock = threading.Lock()
        self.appends = not run.in_bucket
        self._local = _open_new(run, writer) if self.appends else None
        self._torn = False
        self._lines: list[bytes] = []
        self._part = 0
        self._timer: threading.Timer | None = None
        self._failure: OSError | None = None

    def append(self, paid: Paid) -> None:
        """Write one line. Raises `OSError` when the disk is full; what is there stays readable."""
        line = json.dumps(_to_json(paid)).encode() + b"\n"
        with self._lock:
            if self._local is not None:
                self._write(self._local, line)
            else:
                self._hold(line)

    def flush(self) -> None:
        """Write what is held. Raises `OSError`, also for what could not be written earlier."""
        with self._lock:
            if self._failure is not None:
                raise self._failure
            self._flush()

    def close(self) -> None:
        """Write what is held and close the file."""
        with self._lock:
            self._flush()
            if self._local is not None:
                os.close(self._local)
                self._local = None

    def _write(self, file: int, line: bytes) -> None:
        # After a write that the disk had no room for, the next line must not continue its remains.
        line = b"\n" + line if self._torn else line
        self._torn = True
        if os.write(file, line) != len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self._run.uri(FOLDER))
        self._torn = False

    def _hold(self, line: bytes) -> None:
        if self._failure is not None:
            raise self._failure
        self._lines.append(line)
        if sum(map(len, self._lines)) >= PART_BYTES:
            self._flush()
        elif self._timer is None:
            self._timer = threading.Timer(PART_SECONDS, self._flush_late)
            self._timer.daemon = True
            self._timer.start()

    def _flush_late(self) -> None:
        with self._lock:
            try:
                self._flush()
            except OSError as error:
                self._failure = error

    def _flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._lines:
            while self._run.exists(FOLDER, name := f"{self._writer}-{self._part:06}.jsonl"):
                self._part += 1
            self._run.write_bytes(b"".join(self._lines), FOLDER, name)
            self._lines = []


def _open_new(run: RunFolder, writer: str) -> int:
    """A file that nobody has written to: an actor that comes back starts another."""
    os.makedirs(run.uri(FOLDER), exist_ok=True)
    part = 0
    while True:
        try:
            path = run.uri(FOLDER, f"{writer}-{part:06}.jsonl")
            return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
        except FileExistsError:
            part += 1


def _to_json(paid: Paid) -> dict[str, Any]:
    more = {"reason": paid.reason, "detail": paid.detail} if paid.reason else {}
    return {"key": paid.key, "row": paid.row, **asdict(paid.completion), **more}


def entry_of(line: bytes) -> Paid | None:
    """The entry of a line; None for what a killed writer or a full disk left of one."""
    try:
        found = json.loads(line)
        key, row, reason, detail = (
            found.pop("key"),
            found.pop("row"),
            found.pop("reason", None),
            found.pop("detail", ""),
        )
        return Paid(key, row, Completion(**found), reason, detail)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def read_paid(run: RunFolder) -> Iterator[Paid]:
    """Every whole entry of the log, in no order that means anything."""
    for name in run.files(FOLDER, suffix=".jsonl"):
        for _, line in lines_of(run, name):
            if (paid := entry_of(line)) is not None:
                yield paid


def lines_of(run: RunFolder, name: str) -> Iterator[tuple[int, bytes]]:
    """(offset, line) of a file, streamed."""
    offset = 0
    with run.opened(FOLDER, name) as stream:
        held = b""
        while block := stream.read(1 << 20):
            *whole, held = (held + block).split(b"\n")
            for line in whole:
                yield offset, line
                offset += len(line) + 1
        if held:
            yield offset, held
