"""Rows of files, one at a time: JSON lines, JSON, CSV, Parquet and XML, so that memory does not grow with the file.

Called by `read` and `imported`. Only a JSON document (an array in a file) is loaded whole, up to `MAX_DOCUMENT_BYTES`.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from xml.etree import ElementTree

import pyarrow as pa
import pyarrow.parquet as pq

from lema_ray.questions.errors import QuestionError
from lema_ray.questions.files import SUFFIXES, SourceFile

MAX_DOCUMENT_BYTES = 512 * 1024**2


class Row(NamedTuple):
    """One row of a source. `where` is file:line for text by lines and file:row, from 1, for all else."""

    where: str
    data: dict[str, Any]


def read_rows(file: SourceFile, split: str = "train") -> Iterator[Row]:
    """The rows of one file, streamed. Raises `QuestionError` that names the file and the line of what is malformed."""
    reader = _READERS.get(file.suffix)
    if reader is None:
        raise QuestionError(f"{file.name}: unknown kind of file; expected {', '.join(SUFFIXES)}")
    try:
        yield from reader(file, split)
    except OSError as error:
        raise QuestionError(f"{file.name}: cannot be read: {error}") from None


def _json_lines(file: SourceFile, split: str) -> Iterator[Row]:
    for number, line in file.lines():
        if line.strip():
            yield Row(f"{file.name}:{number}", _json_object(line, f"{file.name}:{number}"))


def _json_object(text: str, where: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise QuestionError(f"{where}: not valid JSON: {error}") from None
    if not isinstance(value, dict):
        raise QuestionError(f"{where}: expected a JSON object with fields, found {type(value).__name__}")
    return value


def _json(file: SourceFile, split: str) -> Iterator[Row]:
    """A `.json` file may hold an array, one object, an object of splits, or JSON lines under the wrong name."""
    if _first_line_is_a_row(file):
        yield from _json_lines(file, split)
        return
    for number, item in enumerate(_rows_in(_document(file), split), 1):
        if not isinstance(item, dict):
            raise QuestionError(f"{file.name}:{number}: expected objects in the array, found {type(item).__name__}")
        yield Row(f"{file.name}:{number}", item)


def _first_line_is_a_row(file: SourceFile) -> bool:
    first = next((line for _, line in file.lines() if line.strip()), "")
    try:
        # An object with lists in it is a document of splits even when it is on one line.
        value = json.loads(first) if first.lstrip().startswith("{") else None
    except ValueError:
        return False
    return isinstance(value, dict) and not _lists_of_objects(value)


def _document(file: SourceFile) -> Any:
    if file.size > MAX_DOCUMENT_BYTES:
        limit = f"{MAX_DOCUMENT_BYTES // 1024**2} MB"
        raise QuestionError(
            f"{file.name}: a JSON document over {limit} is not loaded whole; make it JSON lines (.jsonl)"
        )
    text = "".join(line for _, line in file.lines())
    if not text.strip():
        return []
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise QuestionError(f"{file.name}:{error.lineno}: not valid JSON: {error.msg}") from None
    except RecursionError:
        raise QuestionError(f"{file.name}: nested too deeply to be questions") from None


def _rows_in(document: Any, split: str) -> list[Any]:
    if isinstance(document, list):
        return document
    lists = _lists_of_objects(document) if isinstance(document, dict) else {}
    if split in lists:
        return lists[split]
    return next(iter(lists.values())) if len(lists) == 1 and "question" not in document else [document]


def _lists_of_objects(document: dict[str, Any]) -> dict[str, list[Any]]:
    return {k: v for k, v in document.items() if isinstance(v, list) and v and isinstance(v[0], dict)}


def _csv(file: SourceFile, split: str) -> Iterator[Row]:
    csv.field_size_limit(sys.maxsize)
    dialect: Any = csv.excel_tab if file.suffix == ".tsv" else csv.excel
    reader = csv.reader((line for _, line in file.lines()), dialect, strict=True)
    try:
        header = next(reader, [])
        start = reader.line_num + 1
        for values in reader:
            where, start = f"{file.name}:{start}", reader.line_num + 1
            if values and len(values) != len(header):
                raise QuestionError(f"{where}: {len(values)} values under {len(header)} columns ({', '.join(header)})")
            if values:
                yield Row(where, dict(zip(header, values, strict=True)))
    except csv.Error as error:
        raise QuestionError(f"{file.name}:{reader.line_num}: not valid CSV: {error}") from None


def _parquet(file: SourceFile, split: str) -> Iterator[Row]:
    try:
        with file.filesystem.open_input_file(file.path) as stream:
            # Without a buffer size whole row groups are read ahead, and memory follows the file.
            parquet = pq.ParquetFile(stream, buffer_size=1 << 20, pre_buffer=False)
            number = 0
            for batch in parquet.iter_batches(1024):
                for data in batch.to_pylist():
                    number += 1
                    yield Row(f"{file.name}:{number}", data)
    except pa.ArrowException as error:
        raise QuestionError(f"{file.name}: not a readable Parquet file: {error}") from None


def _xml(file: SourceFile, split: str) -> Iterator[Row]:
    """Every `Problem` element (the form ASDiv is published in): its attributes, and its children's text."""
    parser: Any = ElementTree.XMLPullParser(("end",))
    number = 0
    try:
        for _, line in file.lines():
            parser.feed(line)
            for _, element in parser.read_events():
                if element.tag == "Problem":
                    number += 1
                    children = {child.tag: (child.text or "").strip() for child in element}
                    yield Row(f"{file.name}:{number}", {**element.attrib, **children})
                    element.clear()
        parser.close()
    except ElementTree.ParseError as error:
        raise QuestionError(f"{file.name}:{error.position[0]}: not valid XML: {error}") from None


_READERS: dict[str, Callable[[SourceFile, str], Iterator[Row]]] = {
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".json": _json,
    ".csv": _csv,
    ".tsv": _csv,
    ".parquet": _parquet,
    ".xml": _xml,
}
