"""Files of every kind become the same rows, and what is wrong with a file is said with its name and line."""

from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lema_ray.questions import QuestionError, readers
from lema_ray.questions.files import find_files
from lema_ray.questions.readers import read_rows

ROWS = [{"question": "1 + 1?", "answer": "2"}, {"question": 'Say "a,\nb"', "answer": "c\u2028d"}]


def rows_of(path: Path | str, split: str = "train") -> list[dict[str, Any]]:
    return [row.data for file in find_files(str(path), split) for row in read_rows(file, split)]


def as_csv(rows: list[dict[str, str]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0])
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def as_jsonl(rows: list[dict[str, str]], end: str = "\n") -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + end for row in rows)


def test_every_format_gives_the_same_rows(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(as_jsonl(ROWS).encode())
    (tmp_path / "bom.jsonl").write_bytes(b"\xef\xbb\xbf" + as_jsonl(ROWS, "\r\n\r\n").encode())
    (tmp_path / "packed.jsonl.gz").write_bytes(gzip.compress(as_jsonl(ROWS).encode()))
    (tmp_path / "array.json").write_text(json.dumps(ROWS, indent=1))
    (tmp_path / "lines.json").write_text(as_jsonl(ROWS))
    (tmp_path / "splits.json").write_text(json.dumps({"test": ROWS[:1], "train": ROWS}))
    (tmp_path / "data.json").write_text(json.dumps({"version": 1, "data": ROWS}))
    (tmp_path / "quoted.csv").write_bytes(as_csv(ROWS).encode("utf-8-sig"))
    pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "p.parquet", row_group_size=1)
    for file in tmp_path.iterdir():
        assert rows_of(file) == ROWS, file.name


@given(st.lists(st.fixed_dictionaries({"question": st.text(), "answer": st.text()}), min_size=1, max_size=5))
def test_csv_and_jsonl_round_trip(tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, str]]) -> None:
    rows = [{k: v.encode(errors="ignore").decode() for k, v in row.items()} for row in rows]
    folder = tmp_path_factory.mktemp("round")
    (folder / "a.jsonl").write_bytes(as_jsonl(rows).encode())
    (folder / "a.csv").write_bytes(as_csv(rows).encode())
    assert rows_of(folder / "a.jsonl") == rows
    assert rows_of(folder / "a.csv") == rows


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", b'{"a": 1}\n{"a": \n', r"a.jsonl:2: not valid JSON"),
        ("a.jsonl", b'{"a": 1}\n\n[1]\n', r"a.jsonl:3: expected a JSON object"),
        ("a.jsonl", b'{"a": 1}\n{"a": "\xff"}\n', r"a.jsonl:2: not UTF-8"),
        ("a.json", b'[\n{"a": 1},\n{"a": 1,,}]', r"a.json:3: not valid JSON"),
        ("a.json", b"[1, 2]", r"a.json:1: expected objects"),
        ("a.csv", b"q,a\n1,2\n1,2,3\n", r"a.csv:3: 3 values under 2 columns \(q, a\)"),
        ("a.csv", b'q,a\n1,"2\n', r"a.csv:2: not valid CSV"),
        ("a.parquet", b"PAR1 not really", r"a.parquet: not a readable Parquet file"),
        ("a.jsonl.gz", b"not gzip at all", r"a.jsonl.gz: cannot be read"),
        ("a.xml", b"<A>\n<Problem>\n<b></c>", r"a.xml:3: not valid XML"),
        ("a.docx", b"", r"a.docx: unknown kind of file; expected .jsonl"),
    ],
)
def test_what_is_malformed_is_said_with_file_and_line(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(QuestionError, match=message):
        rows_of(tmp_path / name)


def test_csv_rows_are_numbered_by_the_line_they_start_on(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('q\n"two\nlines"\nlast\n')
    (file,) = find_files(str(tmp_path / "a.csv"))
    assert [row.where.rpartition(":")[2] for row in read_rows(file)] == ["2", "4"]


def test_a_large_json_document_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "MAX_DOCUMENT_BYTES", 10)
    (tmp_path / "a.json").write_text(json.dumps(ROWS, indent=1))
    with pytest.raises(QuestionError, match="make it JSON lines"):
        rows_of(tmp_path / "a.json")


def names(location: str, split: str | None = None) -> list[str]:
    return [Path(file.path).name for file in find_files(location, split)]


def test_globs_and_directories(tmp_path: Path) -> None:
    for name in ("x/1.jsonl", "x/2.json", "x/deep/3.jsonl", "x/.hidden.jsonl", "x/_index.json", "x/notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("{}\n")
    assert names(f"{tmp_path}/x") == ["1.jsonl", "2.json", "3.jsonl"]
    assert names(f"{tmp_path}/x/*.jsonl") == [".hidden.jsonl", "1.jsonl"]
    assert names(f"{tmp_path}/**/[13].jsonl") == ["1.jsonl", "3.jsonl"]
    assert names(f"file://{tmp_path}/x/?.json*") == ["1.jsonl", "2.json"]
    for missing in ("y", "y/*.jsonl", "x/*.csv"):
        with pytest.raises(QuestionError, match=r"no such file|cannot be listed|no files found"):
            names(f"{tmp_path}/{missing}")


def test_a_directory_of_splits_is_not_mixed_up(tmp_path: Path) -> None:
    for name in ("data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet", "data/test.jsonl"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert len(names(str(tmp_path), "train")) == 2
    assert names(str(tmp_path), "test") == ["test.jsonl"]
    with pytest.raises(QuestionError, match="'validation'; there are: test, train"):
        names(str(tmp_path), "validation")


def test_an_unknown_scheme_is_said() -> None:
    with pytest.raises(QuestionError, match="cannot be opened"):
        names("nosuch://bucket/a.jsonl")
