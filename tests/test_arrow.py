"""Records survive Arrow, also with every optional field empty."""

from typing import get_args

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lema_ray import arrow, records

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
RECORDS = [
    records.Question,
    records.Attempt,
    records.Grade,
    records.Correction,
    records.Analysis,
    records.Dropped,
    records.GradedQuestion,
    records.TrainingExample,
    records.Completion,
    records.Trace,
]


def build(record: type) -> st.SearchStrategy:
    return st.builds(record, **{name: value(hint) for name, hint in arrow._fields(record).items()})


def value(hint: object) -> st.SearchStrategy:
    if hint is str:
        return TEXT
    if hint is int:
        return st.integers(-(2**40), 2**40)
    if hint is float:
        return st.floats(allow_nan=False)
    if hint is bool:
        return st.booleans()
    origin, inner = getattr(hint, "__origin__", None), get_args(hint)
    if origin is tuple:
        return st.lists(value(arrow._strip_optional(inner[0])), max_size=3).map(tuple)
    if origin is dict:
        return st.dictionaries(TEXT, TEXT, max_size=3)
    if inner:
        return st.sampled_from(inner)
    return build(hint)


@pytest.mark.parametrize("record", RECORDS, ids=lambda r: r.__name__)
@given(data=st.data())
def test_round_trip(record: type, data: st.DataObject) -> None:
    rows = data.draw(st.lists(build(record), max_size=3))
    assert arrow.from_table(record, arrow.to_table(rows, record)) == rows


@pytest.mark.parametrize("record", RECORDS, ids=lambda r: r.__name__)
def test_no_column_is_of_type_null(record: type) -> None:
    def leaves(kind: pa.DataType) -> list[pa.DataType]:
        children = [kind.field(i).type for i in range(kind.num_fields)]
        return [leaf for child in children for leaf in leaves(child)] or [kind]

    assert not any(pa.types.is_null(leaf) for field in arrow.schema(record) for leaf in leaves(field.type))
    assert arrow.to_table([], record).schema == arrow.schema(record)
