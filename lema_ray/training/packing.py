"""Several rows in one sequence, each seeing itself alone and none of them cut.

`loop` packs an arm's rows where `train.packing` says so. A pack is a list of row numbers; nothing is copied, the batch
looks the rows up. TRL's own packing is not used: it cuts a row that is longer than the pack.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from typing import Any

import pyarrow.compute as pc


def row_lengths(rows: Any) -> list[int]:
    """Tokens of every row of a `datasets.Dataset`, in its order; no row is decoded."""
    return [int(n) for n in pc.list_value_length(rows.data.column("input_ids")).to_pylist()]


def pack_rows(rows: Any, size: int | None) -> Any:
    """A `datasets.Dataset` of packs: its only column `rows` lists the numbers of the rows in a pack.

    A pack has at most `size` tokens, by default as many as the longest row. Packs follow the order of their first row.
    """
    from datasets import Dataset

    lengths = row_lengths(rows)
    return Dataset.from_dict({"rows": best_fit(lengths, max(size or 0, *lengths))})


def best_fit(lengths: Sequence[int], size: int) -> list[list[int]]:
    """Best-fit decreasing: every row in exactly one pack, the longest first, each where it leaves the least room."""
    packs: list[list[int]] = []
    room: list[tuple[int, int]] = []
    for row in sorted(range(len(lengths)), key=lambda row: (-lengths[row], row)):
        at = bisect_left(room, (lengths[row], -1))
        left, pack = room.pop(at) if at < len(room) else (size, len(packs))
        if pack == len(packs):
            packs.append([])
        packs[pack].append(row)
        insort(room, (left - lengths[row], pack))
    return sorted((sorted(pack) for pack in packs), key=lambda pack: pack[0])
