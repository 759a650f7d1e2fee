"""Tokenized rows to one batch of tensors: padded rows, packed rows, and preference pairs.

`trainers` hands these to TRL in place of its own, which would build labels and masks again. Each batch also carries
`rows`, the numbers of its rows (-1 fills up), and `counts`, its tokens and learned tokens: the trainer takes both out
again, to name the rows of a loss that is no number and to measure its pace.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lema_ray.training.masking import NOT_LEARNED

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PaddedRows:
    """Rows to `input_ids`, `attention_mask` and `labels` of shape (rows, longest row)."""

    pad_token: int

    def __call__(self, rows: Sequence[Row]) -> dict[str, Any]:
        ids, labels = ([row[name] for row in rows] for name in ("input_ids", "labels"))
        return {
            "input_ids": padded(ids, self.pad_token),
            "attention_mask": padded([[1] * len(row) for row in ids], 0),
            "labels": padded(labels, NOT_LEARNED),
            **_noted([[row["row"]] for row in rows], ids, labels),
        }


@dataclass(frozen=True, slots=True)
class PackedRows:
    """Packs to `input_ids`, `labels` and `position_ids` that begin anew at every row; rows that are no pack are padded.

    Without an attention mask transformers makes a block mask from the positions, one block a row. Flash attention reads
    them in a single sequence only: `flat` joins all packs of a batch, with the boundaries its kernels take.
    """

    pad_token: int
    rows: Any
    flat: bool = False

    def __call__(self, packs: Sequence[Row]) -> dict[str, Any]:
        if "rows" not in packs[0]:
            return PaddedRows(self.pad_token)(packs)
        packed = [self.rows[pack["rows"]] for pack in packs]
        numbers = [list(pack["rows"]) for pack in packs]
        if self.flat:
            packed = [{name: _joined(pack[name] for pack in packed) for name in ("input_ids", "labels")}]
        ids, labels = ([_joined(pack[name]) for pack in packed] for name in ("input_ids", "labels"))
        positions = [_joined(range(len(row)) for row in pack["input_ids"]) for pack in packed]
        # The padding counts up from 0 too: a block of its own that no row sees.
        longest = max(map(len, ids))
        positions = [[*pack, *range(longest - len(pack))] for pack in positions]
        batch = {
            "input_ids": padded(ids, self.pad_token),
            "labels": padded(labels, NOT_LEARNED),
            "position_ids": padded(positions, 0),
        }
        return batch | _noted(numbers, ids, labels) | (_boundaries(packed[0]["input_ids"]) if self.flat else {})


@dataclass(frozen=True, slots=True)
class PairedRows:
    """Pairs to one batch as TRL's DPO loss reads it: all chosen answers, then all rejected ones.

    `completion_mask` is 1 on the tokens that our labels learn, not on the whole completion: a span that is not to be
    learned is part of neither answer's probability.
    """

    pad_token: int

    def __call__(self, rows: Sequence[Row]) -> dict[str, Any]:
        ids = [row[name] for name in ("input_ids", "rejected_input_ids") for row in rows]
        labels = [row[name] for name in ("labels", "rejected_labels") for row in rows]
        kept = [name for name in ("ref_chosen_logps", "ref_rejected_logps") if name in rows[0]]
        return {
            "input_ids": padded(ids, self.pad_token),
            "attention_mask": padded([[1] * len(row) for row in ids], 0),
            "completion_mask": padded([[int(label != NOT_LEARNED) for label in row] for row in labels], 0),
            **{name: _floats([row[name] for row in rows]) for name in kept},
            **_noted([[row["row"]] for row in rows], ids, labels),
        }


def padded(rows: Sequence[Sequence[int]], value: int) -> Any:
    """A long tensor of shape (rows, longest row), filled up on the right."""
    import torch
    from torch.nn.utils.rnn import pad_sequence

    return pad_sequence([torch.tensor(row, dtype=torch.long) for row in rows], batch_first=True, padding_value=value)


def _noted(numbers: list[list[int]], ids: Sequence[Sequence[int]], labels: Sequence[Sequence[int]]) -> dict[str, Any]:
    import torch

    learned = sum(label != NOT_LEARNED for row in labels for label in row)
    return {"rows": padded(numbers, -1), "counts": torch.tensor([[sum(map(len, ids)), learned]], dtype=torch.float)}


def _boundaries(rows: Sequence[Sequence[int]]) -> dict[str, Any]:
    import torch

    lengths = torch.tensor([0, *map(len, rows)], dtype=torch.int32)
    ends, longest = lengths.cumsum(0, dtype=torch.int32), int(lengths.max())
    return {"cu_seq_lens_q": ends, "cu_seq_lens_k": ends, "max_length_q": longest, "max_length_k": longest}


def _joined(lists: Any) -> list[Any]:
    return [item for one in lists for item in one]


def _floats(values: Sequence[float]) -> Any:
    import torch

    return torch.tensor(values)
