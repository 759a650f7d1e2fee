"""Records to Arrow and back: an explicit schema per dataclass, so files keep their types when columns are empty.

Used by every stage that reads or writes Parquet. Supported field types: str, int, float, bool, Literal of str,
`T | None`, `tuple[T, ...]`, `dict[str, str]` and nested records.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import pyarrow as pa

R = TypeVar("R")
_SCALARS: dict[Any, pa.DataType] = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}


def _strip_optional(hint: Any) -> Any:
    if get_origin(hint) in (Union, UnionType):
        (hint,) = (arg for arg in get_args(hint) if arg is not NoneType)
    return hint


@cache
def _fields(record: type) -> dict[str, Any]:
    hints = get_type_hints(record)
    return {f.name: _strip_optional(hints[f.name]) for f in dataclasses.fields(record)}


def _arrow_type(hint: Any) -> pa.DataType:
    hint = _strip_optional(hint)
    if get_origin(hint) is Literal:
        return pa.string()
    if get_origin(hint) is tuple:
        return pa.list_(_arrow_type(get_args(hint)[0]))
    if get_origin(hint) is dict:
        return pa.map_(pa.string(), pa.string())
    if dataclasses.is_dataclass(hint):
        return pa.struct([(name, _arrow_type(inner)) for name, inner in _fields(hint).items()])  # type: ignore[arg-type]
    return _SCALARS[hint]


@cache
def schema(record: type) -> pa.Schema:
    """The Arrow schema of a record type."""
    return pa.schema([(name, _arrow_type(hint)) for name, hint in _fields(record).items()])


def to_row(record: Any) -> dict[str, Any]:
    """A record as plain dicts, lists and scalars, as Arrow and JSON take them."""
    return dataclasses.asdict(record)


def to_table(records: Iterable[Any], record: type) -> pa.Table:
    """Records of one type as a table with that type's schema, also when there are none."""
    return pa.Table.from_pylist([to_row(r) for r in records], schema=schema(record))


@cache
def _reader(hint: Any) -> Callable[[Any], Any] | None:
    """How to turn an Arrow value of this type into a record's; None where it is taken as it is.

    Looked up once per type and not per value: reading is what streams over a whole run spend their time on.
    """
    hint = _strip_optional(hint)
    if get_origin(hint) is tuple:
        inner = _reader(get_args(hint)[0])
        return tuple if inner is None else lambda items: tuple([inner(item) for item in items])
    if get_origin(hint) is dict:
        return dict
    if dataclasses.is_dataclass(hint):
        return _record_reader(hint)  # type: ignore[arg-type]
    return None


@cache
def _record_reader(record: Any) -> Callable[[dict[str, Any]], Any]:
    readers = [(name, _reader(hint)) for name, hint in _fields(record).items()]

    def read(row: dict[str, Any]) -> Any:
        known = [(name, reader, row[name]) for name, reader in readers if name in row]
        return record(**{n: v if reader is None or v is None else reader(v) for n, reader, v in known})

    return read


def from_row(record: type[R], row: dict[str, Any]) -> R:
    """A record from a row that `to_row` or Arrow made. Columns the record does not have are ignored."""
    made: R = _record_reader(record)(row)  # type: ignore[arg-type]
    return made


def from_table(record: type[R], table: pa.Table) -> list[R]:
    """All rows of a table as records."""
    read = _record_reader(record)  # type: ignore[arg-type]
    return [read(row) for row in table.to_pylist()]
