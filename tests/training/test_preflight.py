"""What is shown and checked before a training, and in its first step."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lema_ray.config import RunConfig, parse_config
from lema_ray.engines.chat_template import ChatTemplate
from lema_ray.records import Message, Span, TrainingExample
from lema_ray.runs import RunFolder
from lema_ray.training.collating import PackedRows
from lema_ray.training.first_step import TrainingFailed, check_packing
from lema_ray.training.masking import MaskingError, tokenize_example
from lema_ray.training.preflight import check_template, preflight
from lema_ray.training.trainers import NOTES


def _row(number: int, kind: str = "cot") -> TrainingExample:
    target = (Span(f"Step 1: {number}\n", False), Span("The answer is 7. " * (1 + number) + "So."))
    return TrainingExample(f"{kind}-{number}", (Message("user", "How many are left?"),), target, kind, f"q{number}")


def _config(tmp_path: Path, **train: Any) -> tuple[RunConfig, RunFolder]:
    sets = {"train": {"source": "word_problems"}, "test": {"source": "word_problems"}}
    plain = {"engine": {"type": "scripted"}}
    config = parse_config(
        {"name": "p", "runs_dir": str(tmp_path), "questions": sets, "students": [plain], "corrector": plain}
        | {"train": train, "build": {"arms": {"lema": {}}}}
    )
    run = RunFolder(config.folder)
    rows = [_row(n) for n in range(9)] + [_row(n, "lema") for n in range(4)]
    run.write_records(rows, TrainingExample, "examples", "lema", "train.parquet")
    return config, run


def test_preflight_shows_shares_lengths_and_rows_of_each_kind(tmp_path: Path, tiny_model: Path) -> None:
    config, run = _config(tmp_path)
    shown = preflight(config, run, str(tiny_model))
    tokens = [tokenize_example(_row(n, "lema"), ChatTemplate(str(tiny_model)).tokenizer) for n in range(4)]
    learned, total = sum(row.learned for row in tokens), sum(len(row.input_ids) for row in tokens)
    assert "13 rows for sft, under the template that serves the model" in shown
    assert f"lema: 4 rows, {learned} of {total} tokens learned ({learned / total:.1%})" in shown
    assert "longest rows: cot-8 (" in shown and "would be cut" not in shown
    assert shown.count("tokens are learned") == 3 and "\x1b[32mThe answer is 7." in shown
    assert "cot-0 cot:" in shown and "lema-0 lema:" in shown


def test_preflight_names_what_would_be_cut(tmp_path: Path, tiny_model: Path) -> None:
    config, run = _config(tmp_path, max_length=50)
    assert "rows are longer than 50 tokens and would be cut: training refuses to start" in preflight(
        config, run, str(tiny_model)
    )


def test_a_template_that_asks_otherwise_than_it_trains_is_refused(tiny_model: Path) -> None:
    template = ChatTemplate(str(tiny_model))
    row = tokenize_example(_row(1), template.tokenizer)
    check_template(_row(1), row, template)
    asked = replace(_row(1), prompt=(Message("system", "Be brief."), *_row(1).prompt))
    with pytest.raises(MaskingError, match=r"row cot-1 .*tokens that the served model is asked with"):
        check_template(asked, row, template)


@pytest.fixture(scope="module")
def packed(tiny_model: Path) -> Any:
    """A trainer in outline with the tiny model and its head, and a batch of one pack of three rows."""
    import torch
    from datasets import Dataset
    from transformers import AutoModelForCausalLM
    from trl.trainer.utils import add_fused_lm_head

    model = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32)
    add_fused_lm_head(model)
    tokenizer = ChatTemplate(str(tiny_model)).tokenizer
    tokenized = [tokenize_example(_row(n), tokenizer) for n in range(3)]
    ids, labels = ([getattr(row, name) for row in tokenized] for name in ("input_ids", "labels"))
    rows = Dataset.from_dict({"input_ids": ids, "labels": labels, "row": [0, 1, 2]})
    trainer = SimpleNamespace(
        data_collator=PackedRows(0, rows),
        notes=NOTES,
        compute_loss_context_manager=nullcontext,
        accelerator=SimpleNamespace(gather=lambda values: values),
    )
    batch = PackedRows(0, rows)([{"rows": [0, 1, 2]}])
    return trainer, model, {name: value for name, value in batch.items() if name not in NOTES}, batch["rows"]


def test_rows_of_a_pack_have_the_loss_that_they_have_alone(packed: Any) -> None:
    check_packing(*packed)


def test_rows_that_see_one_another_are_refused(packed: Any) -> None:
    """Positions that run on make one sequence of the pack: what a model does that does not read them."""
    import torch

    trainer, model, batch, rows = packed
    leaking = batch | {"position_ids": torch.arange(batch["input_ids"].shape[1])[None]}
    with pytest.raises(TrainingFailed, match=r"the rows of a pack see one another .* in packs and .* one by one"):
        check_packing(trainer, model, leaking, rows)
