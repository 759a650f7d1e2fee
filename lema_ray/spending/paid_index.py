"""Which entries of the paid log a resumed run still needs, and where they are. Made by `on_ray.collect`.

Rows that the checkpoint has committed are left out, so that memory goes with what is unfinished and not with the log.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lema_ray.runs import RunFolder
from lema_ray.spending.paid import FOLDER, Paid, entry_of, lines_of

_HEAD = re.compile(rb'\{"key": "([0-9a-f]{32})", "row": "((?:[^"\\]|\\.)*)", ')


def finished_rows(run: RunFolder, *sink: str) -> np.ndarray[Any, Any]:
    """Eight-byte hashes of the row ids that are committed to a sink, sorted: 8 bytes a question in memory."""
    found = [np.empty(0, np.uint64)]
    for name in run.files("checkpoint", *sink, suffix=".parquet"):
        if ".pending" not in name:
            with run.opened("checkpoint", *sink, name) as stream:
                try:
                    ids = pq.read_table(stream, columns=["id"]).column("id").to_pylist()
                except pa.ArrowInvalid:
                    continue
            found.append(np.fromiter(map(_short, ids), np.uint64, len(ids)))
    return np.sort(np.concatenate(found))


def _short(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")


@dataclass(frozen=True, slots=True)
class PaidIndex:
    """Where the entries of unfinished rows are: 24 bytes each. The texts stay in the files until they are asked for."""

    run: RunFolder
    files: tuple[str, ...]
    keys: np.ndarray[Any, Any]
    places: np.ndarray[Any, Any]

    def __contains__(self, key: str) -> bool:
        """Whether `get` is worth asking: no file is read for this."""
        at = self._first(key)
        return at < len(self.keys) and int(self.keys[at]) == int(key[:16], 16)

    def _first(self, key: str) -> int:
        return int(np.searchsorted(self.keys, np.uint64(int(key[:16], 16))))

    def get(self, key: str) -> Paid | None:
        """The entry with this key, None when there is none (or only the remains of one)."""
        at = self._first(key)
        while at < len(self.keys) and int(self.keys[at]) == int(key[:16], 16):
            file, offset = self.places[at]
            with self.run.opened(FOLDER, self.files[file]) as stream:
                stream.seek(int(offset))
                paid = entry_of(_line(stream))
            if paid is not None and paid.key == key:
                return paid
            at += 1
        return None

    def __add__(self, other: PaidIndex) -> PaidIndex:
        """Both, for an actor that comes back: the run's index and the files it wrote before it died."""
        moved = other.places + np.array([len(self.files), 0])
        joined = replace(self, files=self.files + other.files, places=np.concatenate([self.places, moved]))
        return _sorted(replace(joined, keys=np.concatenate([self.keys, other.keys])))


def _sorted(index: PaidIndex) -> PaidIndex:
    order = np.argsort(index.keys, kind="stable")
    return replace(index, keys=index.keys[order], places=index.places[order])


def _line(stream: Any) -> bytes:
    found = b""
    while block := stream.read(1 << 14):
        found += block
        if b"\n" in block:
            break
    return found.partition(b"\n")[0]


def read_index(run: RunFolder, finished: np.ndarray[Any, Any] | None = None, writer: str = "") -> PaidIndex:
    """The index of the files whose names begin with `writer`, without the rows that are finished."""
    done = np.empty(0, np.uint64) if finished is None else finished
    files = tuple(name for name in run.files(FOLDER, suffix=".jsonl") if name.startswith(writer))
    keys, places = [], []
    for number, name in enumerate(files):
        for offset, line in lines_of(run, name):
            if (head := _HEAD.match(line)) and not _among(json.loads(b'"%s"' % head[2]), done):
                keys.append(int(head[1][:16], 16))
                places.append((number, offset))
    return _sorted(PaidIndex(run, files, np.array(keys, np.uint64), np.array(places, np.int64).reshape(-1, 2)))


def _among(row: str, done: np.ndarray[Any, Any]) -> bool:
    wanted = np.uint64(_short(row))
    at = int(np.searchsorted(done, wanted))
    return at < len(done) and bool(done[at] == wanted)
