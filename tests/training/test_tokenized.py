"""The tokenized rows of an arm: the same rows in the same order however many workers share the work."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lema_ray.records import Dropped, Message, Span, TrainingExample
from lema_ray.runs import RunFolder
from lema_ray.training.masking import MaskingError, tokenize_example, tokenize_pair
from lema_ray.training.tokenized import arm_objective, open_rows, row_limit, tokenize_share


@pytest.fixture(scope="module")
def tokenizer(tiny_model: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(tiny_model)


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    run = RunFolder(str(tmp_path))
    run.write_records([_row(n) for n in range(3000)], TrainingExample, "examples", "cot", "train.parquet")
    return run


def _row(number: int) -> TrainingExample:
    return TrainingExample(f"r{number}", (Message("user", "?"),), (Span("7" * (1 + number % 50)),), "cot", f"q{number}")


def _tokenize(run: RunFolder, tokenizer: Any, shares: int, **options: Any) -> dict[str, int]:
    options = {"limit": 512, "too_long": "refuse"} | options
    counts = [tokenize_share(run, "cot", "train", (n, shares), tokenizer, **options) for n in range(shares)]
    return {name: sum(count[name] for count in counts) for name in counts[0]}


def test_shares_make_the_same_rows_in_the_same_order(run: RunFolder, tokenizer: Any) -> None:
    import pyarrow.parquet as pq

    path = run.uri("examples", "cot", "train.parquet")
    pq.write_table(pq.read_table(path), path, row_group_size=256)
    assert _tokenize(run, tokenizer, 3) == _tokenize(run, tokenizer, 1)
    whole, shared = open_rows(run, "cot", "train", 1), open_rows(run, "cot", "train", 3)
    assert len(whole) == 3000 and whole.column_names == ["id", "input_ids", "labels", "row"]
    assert whole.to_list() == shared.to_list()
    expected = tokenize_example(_row(1234), tokenizer)
    assert whole[1234] == {
        "id": "r1234",
        "input_ids": expected.input_ids,
        "labels": expected.labels,
        "row": 1234,
    }


def test_a_row_that_does_not_fit_is_refused_by_its_id_or_left_out_and_recorded(run: RunFolder, tokenizer: Any) -> None:
    longest = len(tokenize_example(_row(49), tokenizer).input_ids)
    with pytest.raises(MaskingError, match=rf"60 of 3000 rows .*r1049 \({longest} tokens\)"):
        _tokenize(run, tokenizer, 1, limit=longest - 1)
    counts = _tokenize(run, tokenizer, 1, limit=longest - 1, too_long="drop")
    assert counts["examples"] == 2940 and counts["dropped"] == 60
    dropped = list(run.read_records(Dropped, "checkpoints", "cot", "dropped"))
    assert {d.reason for d in dropped} == {"too_long"} and "r49" in {d.id for d in dropped}
    assert len(open_rows(run, "cot", "train", 1)) == 2940


def test_pairs_are_trained_by_dpo_unless_sft_is_asked_for(run: RunFolder, tokenizer: Any) -> None:
    pairs = [replace(_row(n), rejected=(Span("8"),)) for n in range(3)]
    run.write_records(pairs, TrainingExample, "examples", "pairs", "train.parquet")
    assert arm_objective(run, "pairs", None) == "dpo" and arm_objective(run, "cot", None) == "sft"
    assert arm_objective(run, "pairs", "sft") == "sft"
    counts = tokenize_share(run, "pairs", "train", (0, 1), tokenizer, 512, "refuse", "dpo")
    rows = open_rows(run, "pairs", "train", 1, "dpo")
    expected = tokenize_pair(pairs[2], tokenizer)
    assert rows[2]["rejected_input_ids"] == expected.rejected_input_ids
    assert rows[2]["rejected_labels"] == expected.rejected_labels and rows[2]["labels"] == expected.labels
    assert counts["tokens"] == sum(len(r["input_ids"]) + len(r["rejected_input_ids"]) for r in rows)
    with pytest.raises(MaskingError, match=r"row r0 .*no rejected answer"):
        tokenize_share(run, "cot", "train", (0, 1), tokenizer, 512, "refuse", "dpo")


def test_an_arm_without_dev_rows_has_none(run: RunFolder, tokenizer: Any) -> None:
    tokenize_share(run, "cot", "dev", (0, 1), tokenizer, 512, "refuse")
    assert open_rows(run, "cot", "dev", 1) is None


def test_the_limit_is_the_configured_one_else_the_models(tiny_model: Path) -> None:
    assert row_limit(str(tiny_model), 77) == 77
    assert row_limit(str(tiny_model), None) == 512
