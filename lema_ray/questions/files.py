"""Finding and opening files: a path, a directory, a glob, s3:// or gs://, all through pyarrow's file systems.

Called by `readers` and `imported`. Compressed files (.gz, .bz2, .zst) are recognised by their name.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import NamedTuple, cast

import pyarrow as pa
from pyarrow import fs

from lema_ray.questions.errors import QuestionError

SUFFIXES = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet", ".xml")
_COMPRESSED = (".gz", ".bz2", ".zst", ".lz4")
# `?region=...&endpoint_override=...` are settings of the file system; any other question mark is a wildcard.
_QUERY = re.compile(r"(.*?)(\?\w+=.*)?", re.DOTALL)
_SPLITS = {"train", "test", "validation", "valid", "val", "dev", "eval"}


class SourceFile(NamedTuple):
    """One file to read. `name` is what people are told: the path with its scheme."""

    filesystem: fs.FileSystem
    path: str
    name: str
    size: int

    @property
    def suffix(self) -> str:
        """The format by name, without a compression suffix: `a.jsonl.gz` is `.jsonl`."""
        return PurePosixPath(_uncompressed(self.path)).suffix.lower()

    def lines(self) -> Iterator[tuple[int, str]]:
        """Numbered lines, from 1, with their line ends, without a byte order mark. Raises for text not in UTF-8."""
        with self.filesystem.open_input_stream(self.path, buffer_size=1 << 16) as stream:
            for number, line in enumerate(io.BufferedReader(cast(io.RawIOBase, stream), 1 << 16), 1):
                try:
                    yield number, line.decode("utf-8-sig" if number == 1 else "utf-8")
                except UnicodeDecodeError as error:
                    raise QuestionError(f"{self.name}:{number}: not UTF-8 ({error.reason}); save it as UTF-8") from None


def open_location(location: str) -> tuple[fs.FileSystem, str, str]:
    """File system, path inside it and scheme prefix of a local path or a URI. Raises `QuestionError`."""
    if "://" not in location:
        return fs.LocalFileSystem(), os.path.abspath(os.path.expanduser(location)), ""
    scheme, _, rest = location.partition("://")
    path, query = _QUERY.fullmatch(rest).groups("")  # type: ignore[union-attr]
    try:
        # The wildcards of a glob are not valid in a URI, so only its fixed beginning is parsed.
        filesystem, base = fs.FileSystem.from_uri(f"{scheme}://{_fixed(path)}{query}")
    except (pa.ArrowException, ValueError, OSError) as error:
        raise QuestionError(f"{location}: this location cannot be opened: {error}") from None
    pattern = path[len(_fixed(path)) :]
    return filesystem, f"{base.rstrip('/')}/{pattern}" if pattern else base, f"{scheme}://"


def find_files(location: str, split: str | None = None) -> list[SourceFile]:
    """The files behind a path, a directory (all data files below it) or a glob, in name order.

    In a directory whose files or folders are named after splits, only those of `split` are taken.
    Raises `QuestionError` when there is nothing.
    """
    filesystem, path, scheme = open_location(location)
    if any(mark in path for mark in "*?["):
        base = _fixed(path).rstrip("/")
        found = [i for i in _below(filesystem, base, location) if _glob(path).fullmatch(i.path)]
    else:
        info = filesystem.get_file_info(path)
        if info.type == fs.FileType.NotFound:
            raise QuestionError(f"{location}: no such file or directory")
        found = [info] if info.type == fs.FileType.File else _data_files(filesystem, path, location, split)
    if not found:
        raise QuestionError(f"{location}: no files found; expected {', '.join(SUFFIXES)}")
    return [SourceFile(filesystem, i.path, scheme + i.path, i.size) for i in sorted(found, key=lambda i: i.path)]


def _below(filesystem: fs.FileSystem, base: str, location: str) -> list[fs.FileInfo]:
    try:
        infos = filesystem.get_file_info(fs.FileSelector(base, recursive=True))
    except OSError as error:
        raise QuestionError(f"{location}: {base} cannot be listed: {error}") from None
    return [info for info in infos if info.type == fs.FileType.File]


def _data_files(filesystem: fs.FileSystem, base: str, location: str, split: str | None) -> list[fs.FileInfo]:
    found = [i for i in _below(filesystem, base, location) if _is_data(_parts(i.path, base))]
    splits = {i.path: _SPLITS.union({split or ""}) & {_stem(p) for p in _parts(i.path, base)} for i in found}
    if split is None or not any(splits.values()):
        return found
    chosen = [i for i in found if split in splits[i.path]]
    if not chosen:
        there = ", ".join(sorted(set().union(*splits.values())))
        raise QuestionError(f"{location}: nothing there is named after the split {split!r}; there are: {there}")
    return chosen


def _parts(path: str, base: str) -> tuple[str, ...]:
    return PurePosixPath(path).relative_to(base).parts


def _is_data(parts: tuple[str, ...]) -> bool:
    hidden = any(part.startswith((".", "_")) for part in parts)
    return not hidden and _uncompressed(parts[-1]).lower().endswith(SUFFIXES)


def _stem(part: str) -> str:
    """`train` of `train.jsonl`, `train-00000-of-00002.parquet` and `train/`."""
    return part.partition(".")[0].partition("-0")[0].lower()


def _uncompressed(path: str) -> str:
    return next((path[: -len(s)] for s in _COMPRESSED if path.lower().endswith(s)), path)


def _fixed(path: str) -> str:
    """The directories of a glob before its first wildcard, with the slash; a path without wildcards as it is."""
    wildcard = re.search(r"[*?\[]", path)
    return path if wildcard is None else path[: path.rfind("/", 0, wildcard.start()) + 1]


def _glob(pattern: str) -> re.Pattern[str]:
    parts = re.split(r"(\*\*/|\*\*|\*|\?|\[[^\]/]*\])", pattern)
    special = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile(
        "".join(special.get(p, p if p.startswith("[") and p.endswith("]") else re.escape(p)) for p in parts)
    )
