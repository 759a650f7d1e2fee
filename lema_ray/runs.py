"""The run folder: where a run keeps everything it made, on a local path or on s3:// or gs://.

Every stage is handed a `RunFolder`; `docs/architecture.md` has the layout. State lives here and never only in an actor.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from pyarrow import fs

from lema_ray import arrow
from lema_ray.changed_config import FOLDERS, Difference, differences, touched_stages
from lema_ray.config import ConfigError, RunConfig

R = TypeVar("R")


class RunFolder:
    """Paths and small files of one run. `root` is a local path or a URI that pyarrow's file systems understand."""

    def __init__(self, root: str) -> None:
        self.root = root if "://" in root else os.path.abspath(root)

    @property
    def in_bucket(self) -> bool:
        """Whether files are objects: not appended to, not renamed, there when their last byte is."""
        return "://" in self.root

    @cached_property
    def _filesystem(self) -> tuple[fs.FileSystem, str]:
        if not self.in_bucket:
            return fs.LocalFileSystem(), self.root
        try:
            filesystem, path = fs.FileSystem.from_uri(self.root)
            return filesystem, str(path)
        except (pa.ArrowInvalid, ValueError) as error:
            raise ConfigError(f"runs_dir: {self.root} cannot be used: {error}") from None

    def uri(self, *parts: str) -> str:
        """The full path or URI of something in the folder, as Ray Data and Ray Train take it."""
        return "/".join((self.root, *parts))

    def _inner(self, *parts: str) -> str:
        return "/".join((self._filesystem[1], *parts))

    def exists(self, *parts: str) -> bool:
        """Whether a file or directory is there."""
        return bool(self._filesystem[0].get_file_info(self._inner(*parts)).type != fs.FileType.NotFound)

    def files(self, *parts: str, suffix: str = "") -> list[str]:
        """Sorted names of the files below a directory, relative to it; empty when it is not there, or is a file."""
        base = self._inner(*parts)
        if self._filesystem[0].get_file_info(base).type == fs.FileType.File:
            return []
        selector = fs.FileSelector(base, recursive=True, allow_not_found=True)
        found = [i.path for i in self._filesystem[0].get_file_info(selector) if i.type == fs.FileType.File]
        return sorted(os.path.relpath(path, base) for path in found if path.endswith(suffix))

    def last_written(self) -> float:
        """When the newest file was written, in Unix time; 0 without files."""
        selector = fs.FileSelector(self._inner().rstrip("/"), recursive=True, allow_not_found=True)
        times = [i.mtime_ns for i in self._filesystem[0].get_file_info(selector) if i.type == fs.FileType.File]
        return max(times, default=0) / 1e9

    def remove(self, *parts: str) -> None:
        """Delete a directory and all below it, if it is there."""
        if self.exists(*parts):
            self._filesystem[0].delete_dir(self._inner(*parts))

    def remove_file(self, *parts: str) -> None:
        """Delete one file. Raises `OSError` when it is not there."""
        self._filesystem[0].delete_file(self._inner(*parts))

    @contextmanager
    def writing(self, *parts: str) -> Iterator[pa.NativeFile]:
        """A stream into a file that readers see whole or not at all: it takes its name when the body succeeds."""
        filesystem, path = self._filesystem[0], self._inner(*parts)
        if not isinstance(filesystem, fs.LocalFileSystem):
            with _uploaded(filesystem, path) as stream:
                yield stream
            return
        filesystem.create_dir(path.rsplit("/", 1)[0], recursive=True)
        with filesystem.open_output_stream(path + ".part") as stream:
            yield stream
        filesystem.move(path + ".part", path)

    @contextmanager
    def opened(self, *parts: str) -> Iterator[pa.NativeFile]:
        """A file to read from, at any position."""
        with self._filesystem[0].open_input_file(self._inner(*parts)) as stream:
            yield stream

    def write_bytes(self, data: bytes, *parts: str) -> None:
        """Write a whole file, atomically."""
        with self.writing(*parts) as stream:
            stream.write(data)

    def write_text(self, text: str, *parts: str) -> None:
        """`write_bytes` in UTF-8."""
        self.write_bytes(text.encode(), *parts)

    def read_text(self, *parts: str) -> str:
        """A whole small file."""
        with self._filesystem[0].open_input_stream(self._inner(*parts)) as stream:
            return str(stream.read().decode())

    def write_json(self, data: Any, *parts: str) -> None:
        """Indented JSON, atomically."""
        self.write_text(json.dumps(data, indent=2, ensure_ascii=False) + "\n", *parts)

    def read_json(self, *parts: str) -> Any:
        """A JSON file."""
        return json.loads(self.read_text(*parts))

    def write_records(self, records: list[Any], record: type, *parts: str) -> None:
        """Records of one type as one Parquet file."""
        sink = pa.BufferOutputStream()
        pq.write_table(arrow.to_table(records, record), sink)
        self.write_bytes(sink.getvalue().to_pybytes(), *parts)

    def read_records(self, record: type[R], *parts: str, batch_rows: int = 1024) -> Iterator[R]:
        """Stream the records of a Parquet file, or of all Parquet files below a directory, in name order."""
        for name in self.files(*parts, suffix=".parquet") or [""]:
            with self.opened(*parts, *([name] if name else [])) as file:
                for batch in pq.ParquetFile(file).iter_batches(batch_rows):
                    yield from arrow.from_table(record, pa.Table.from_batches([batch]))

    @property
    def manifest(self) -> dict[str, Any]:
        """What is known of the run so far: versions, fingerprints and, per stage, seconds and counts."""
        return dict(self.read_json("manifest.json")) if self.exists("manifest.json") else {"stages": {}}

    def record_stage(self, stage: str, seconds: float, counts: dict[str, Any]) -> None:
        """Note that a stage is complete, how long it took and what it made."""
        manifest = self.manifest
        manifest["stages"][stage] = {"seconds": round(seconds, 2), **counts}
        self.write_json(manifest, "manifest.json")

    def set_aside(self, stages: Sequence[str]) -> None:
        """Move what these stages made, and the config it was made with, to `superseded/<n>`; they are then not done."""
        number = len({name.split("/")[0] for name in self.files("superseded")}) + 1
        manifest = self.manifest
        for stage in stages:
            manifest["stages"].pop(stage, None)
            for folder in FOLDERS[stage]:
                self._move((folder,), ("superseded", str(number), folder))
        self.write_text(self.read_text("config.yaml"), "superseded", str(number), "config.yaml")
        self.write_json(manifest, "manifest.json")

    def _move(self, source: tuple[str, ...], target: tuple[str, ...]) -> None:
        if not self.exists(*source):
            return
        filesystem, destination = self._filesystem[0], self._inner(*target)
        filesystem.create_dir(destination, recursive=True)
        # Object stores have no directories to rename.
        fs.copy_files(
            self._inner(*source), destination, source_filesystem=filesystem, destination_filesystem=filesystem
        )
        filesystem.delete_dir(self._inner(*source))

    def stage(self, stage: str) -> dict[str, Any] | None:
        """The note of a complete stage, None while it is not complete."""
        note: dict[str, Any] | None = self.manifest["stages"].get(stage)
        return note


@contextmanager
def _uploaded(filesystem: fs.FileSystem, path: str) -> Iterator[pa.NativeFile]:
    """A stream that becomes an object once the body succeeds.

    An object stream that is closed commits what it has, also when the body failed, and moving an object is a copy; so
    the bytes wait in a local file.
    """
    with tempfile.NamedTemporaryFile(prefix="lema-") as held:
        with pa.OSFile(held.name, "wb") as stream:
            yield stream
        with filesystem.open_output_stream(path) as stream:
            shutil.copyfileobj(held, stream, 1 << 20)


def _check_bucket(run: RunFolder) -> None:
    """Raise `ConfigError` in one line when a file cannot be written to, read from and removed from a bucket."""
    name = f"access-{secrets.token_hex(4)}"
    try:
        run.write_text("lema", name)
        run.read_text(name)
        run.remove_file(name)
    except OSError as error:
        said = str(error).splitlines()[0][:300]
        raise ConfigError(
            f"runs_dir: {run.root} cannot be written and read ({said}); check the bucket's name and region, and the"
            " keys in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or those of the machine"
        ) from None


def open_run(config: RunConfig, redo_changed: bool = False) -> RunFolder:
    """The folder of a run, made or found again. Raises `ConfigError` when it belongs to another config.

    What only says how the run works (budget, limits, actors, addresses) may always change. With `redo_changed` the
    rest may too: the stages it touches begin anew, and what they had made is kept in `superseded/<n>/`.
    """
    run = RunFolder(config.folder)
    if run.in_bucket:
        _check_bucket(run)
    text = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    if not run.exists("config.yaml"):
        run.write_text(text, "config.yaml")
        return run
    found = list(differences(_with_defaults(yaml.safe_load(run.read_text("config.yaml"))), yaml.safe_load(text)))
    changed = [difference for difference in found if difference.matters]
    if changed and not redo_changed:
        raise ConfigError(_another_config(run, changed))
    if changed:
        run.set_aside(touched_stages(changed))
    if found:
        run.write_text(text, "config.yaml")
    return run


def _with_defaults(written: dict[str, Any]) -> dict[str, Any]:
    """A stored config with the settings that have come since then; as it is when it cannot be read any more."""
    try:
        return RunConfig.model_validate(written).model_dump(mode="json")
    except ValueError:
        return written


def _another_config(run: RunFolder, changed: list[Difference]) -> str:
    touched = touched_stages(changed)
    shown = "\n  ".join(map(str, changed[:20]))
    return (
        f"{run.root} belongs to another config:\n  {shown}\nChoose another name, or add --redo-changed to do "
        f"{', '.join(touched)} again; what they made so far is then kept in superseded/."
    )
