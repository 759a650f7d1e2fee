"""Packs: every row once and whole, within the size, well filled; and what a batch of packs says to the model."""

from __future__ import annotations

import random
from itertools import chain
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from lema_ray.training.collating import PackedRows, PaddedRows
from lema_ray.training.masking import NOT_LEARNED
from lema_ray.training.packing import best_fit, pack_rows


@given(lengths=st.lists(st.integers(1, 100), min_size=1), more=st.integers(0, 300))
def test_every_row_is_in_one_pack_and_none_is_cut(lengths: list[int], more: int) -> None:
    size = max(lengths) + more
    packs = best_fit(lengths, size)
    assert sorted(chain.from_iterable(packs)) == list(range(len(lengths)))
    sums = [sum(lengths[row] for row in pack) for pack in packs]
    assert max(sums) <= size
    assert all(a + b > size for a, b in zip(sorted(sums), sorted(sums)[1:], strict=False)), "two packs fit into one"


def test_many_rows_of_many_lengths_leave_hardly_any_padding() -> None:
    chance = random.Random(1)
    lengths = [min(512, int(chance.lognormvariate(4.8, 0.6))) + 1 for _ in range(5000)]
    packs = best_fit(lengths, 1024)
    assert sum(lengths) / (len(packs) * 1024) > 0.99


def _rows(lengths: list[int]) -> Any:
    from datasets import Dataset

    ids = [list(range(100 * n, 100 * n + length)) for n, length in enumerate(lengths, 1)]
    labels = [[NOT_LEARNED, *row[1:]] for row in ids]
    return Dataset.from_dict({"input_ids": ids, "labels": labels, "row": list(range(len(ids)))})


def test_positions_begin_anew_at_every_row_and_in_the_padding() -> None:
    rows = _rows([3, 2, 4])
    packs = pack_rows(rows, 5)
    assert packs["rows"][:] == [[0, 1], [2]]
    batch = PackedRows(0, rows)([packs[0], packs[1]])
    assert batch["position_ids"].tolist() == [[0, 1, 2, 0, 1], [0, 1, 2, 3, 0]]
    assert batch["input_ids"].tolist() == [[100, 101, 102, 200, 201], [300, 301, 302, 303, 0]]
    assert batch["labels"].tolist() == [[-100, 101, 102, -100, 201], [-100, 301, 302, 303, -100]]
    assert batch["rows"].tolist() == [[0, 1], [2, -1]] and batch["counts"].tolist() == [[9, 6]]
    assert "attention_mask" not in batch


def test_flash_attention_is_given_one_sequence_with_its_boundaries() -> None:
    rows = _rows([3, 2, 4])
    batch = PackedRows(0, rows, flat=True)([{"rows": [0, 1]}, {"rows": [2]}])
    assert batch["position_ids"].tolist() == [[0, 1, 2, 0, 1, 0, 1, 2, 3]]
    assert batch["cu_seq_lens_q"].tolist() == [0, 3, 5, 9] and batch["max_length_k"] == 4
    assert batch["rows"].tolist() == [[0, 1], [2, -1]]


def test_rows_that_are_no_packs_are_padded() -> None:
    rows = _rows([3, 2])
    assert set(PackedRows(0, rows)([rows[0], rows[1]])) == set(PaddedRows(0)([rows[0]]))
