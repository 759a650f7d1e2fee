"""Two workers with ZeRO learn what a plain PyTorch loop learns from the same rows in the same order.

The loop below knows no trainer, no padding and no packing: it puts one row at a time through the model.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from equality_rows import DECAY, DEEPSPEED, GO_ON, KINDS, PER_WORKER, RATE, SAVED, SEED, STEPS, WORKERS, examples

from lema_ray.records import TrainingExample
from lema_ray.runs import RunFolder
from lema_ray.training.masking import Tokenized, tokenize_pair
from lema_ray.training.packing import best_fit
from lema_ray.training.tokenized import tokenize_share

pytestmark = pytest.mark.train


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """A folder with a model and a history for each way of training, made by two processes."""
    from transformers import AutoTokenizer

    root = tmp_path_factory.mktemp("equality")
    run, tokenizer = RunFolder(str(root)), AutoTokenizer.from_pretrained(tiny_model)
    for objective in ("sft", "dpo"):
        run.write_records(examples(), TrainingExample, "examples", objective, "train.parquet")
        tokenize_share(run, objective, "train", (0, 1), tokenizer, 512, "refuse", objective)  # type: ignore[arg-type]
    _train(tiny_model, root, WORKERS)
    return root


def _train(model: Path, root: Path, workers: int) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    worker = [sys.executable, str(Path(__file__).with_name("equality_worker.py")), str(model), str(root)]
    started = [
        subprocess.Popen([*worker, str(rank), str(workers), port], env=os.environ | {"OMP_NUM_THREADS": "1"})
        for rank in range(workers)
    ]
    assert [process.wait(140 * WORKERS) for process in started] == [0] * workers


@pytest.mark.parametrize("deepspeed", DEEPSPEED)
@pytest.mark.parametrize("kind", KINDS)
def test_two_workers_learn_what_a_plain_loop_learns(
    trained: Path, tiny_model: Path, reference: Any, kind: str, deepspeed: str
) -> None:
    from safetensors.torch import load_file

    expected_losses, expected = reference(kind)
    folder = trained / f"{deepspeed}-{kind}"
    assert _losses(folder) == pytest.approx(expected_losses, rel=1e-4)
    start, weights = load_file(tiny_model / "model.safetensors"), load_file(folder / "model.safetensors")
    for name, weight in expected.items():
        assert (weights[name] - weight).abs().max() <= 1e-4 + 0.02 * (weight - start[name]).abs().max(), name
    assert max((weights[name] - start[name]).abs().max() for name in expected) > 1e-3


@pytest.fixture(scope="module")
def gone_on(trained: Path, tiny_model: Path) -> Path:
    """The same folder, where one worker went on from the checkpoints that all of them had left."""
    _train(tiny_model, trained, 1)
    return trained


@pytest.mark.parametrize("deepspeed", DEEPSPEED)
@pytest.mark.parametrize("kind", GO_ON)
def test_one_worker_goes_on_as_all_of_them_would_have(gone_on: Path, kind: str, deepspeed: str) -> None:
    from safetensors.torch import load_file

    folders = [gone_on / f"{deepspeed}-{kind}{which}" for which in ("", ".fewer")]
    alone, together = ([_losses(folder)[SAVED:], load_file(folder / "model.safetensors")] for folder in folders)
    assert alone[0] == pytest.approx(together[0], rel=1e-4)
    assert max((alone[1][name] - weight).abs().max() for name, weight in together[1].items()) < 1e-5


def _losses(folder: Path) -> list[float]:
    return [entry["loss"] for entry in json.loads((folder / "history.json").read_text())["history"] if "loss" in entry]


@pytest.fixture(scope="module")
def reference(tiny_model: Path) -> Any:
    """Losses and weights of the plain loop, by kind of training."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    rows = [tokenize_pair(example, tokenizer) for example in examples()]
    known: dict[str, Any] = {}

    def learned(kind: str) -> Any:
        if kind not in known:
            known[kind] = _plain_loop(str(tiny_model), rows, **KINDS[kind])
        return known[kind]

    return learned


def _plain_loop(
    base: str, rows: list[Tokenized], objective: str, method: str = "full", packing: bool = False, max_length: int = 0
) -> Any:
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, set_seed

    set_seed(SEED)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    frozen = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    if method == "lora":
        model = get_peft_model(
            model, LoraConfig(r=4, lora_alpha=16, target_modules="all-linear", task_type="CAUSAL_LM")
        )
    units = best_fit([len(row.input_ids) for row in rows], max_length) if packing else [[n] for n in range(len(rows))]
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    norms = [weight for weight in weights if weight.dim() < 2]
    matrices = {"params": [weight for weight in weights if weight.dim() >= 2], "weight_decay": DECAY}
    optimizer = torch.optim.AdamW([matrices, {"params": norms, "weight_decay": 0.0}])
    losses = []
    for step in range(STEPS):
        parts = [_share(units, WORKERS * step + worker) for worker in range(WORKERS)]
        batches = [[rows[number] for unit in part for number in unit] for part in parts]
        if objective == "sft":
            loss = _sft(model, [row for batch in batches for row in batch])
        else:
            loss = sum(_dpo(model, frozen, batch) for batch in batches) / WORKERS
        losses.append(float(loss.detach()))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        for group in optimizer.param_groups:
            group["lr"] = RATE * (1 - step / STEPS)
        optimizer.step()
        optimizer.zero_grad()
    saved = model.merge_and_unload() if method == "lora" else model
    return losses, {name: weight.detach() for name, weight in saved.named_parameters()}


def _share(units: list[list[int]], batch: int) -> list[list[int]]:
    """The batch's packs; after the last one the rows begin anew."""
    return [units[number % len(units)] for number in range(batch * PER_WORKER, (batch + 1) * PER_WORKER)]


def _log_probability(model: Any, ids: list[int], labels: list[int]) -> Any:
    import torch

    logits = model(input_ids=torch.tensor([ids])).logits[0, :-1].log_softmax(-1)
    return sum(logits[at, label] for at, label in enumerate(labels[1:]) if label >= 0)


def _sft(model: Any, rows: list[Tokenized]) -> Any:
    return -sum(_log_probability(model, row.input_ids, row.labels) for row in rows) / sum(row.learned for row in rows)


def _dpo(model: Any, frozen: Any, rows: list[Tokenized], beta: float = 0.1) -> Any:
    import torch

    total = 0.0
    for row in rows:
        chosen, rejected = (row.input_ids, row.labels), (row.rejected_input_ids, row.rejected_labels)
        with torch.no_grad():
            margin = _log_probability(frozen, *chosen) - _log_probability(frozen, *rejected)
        gained = _log_probability(model, *chosen) - _log_probability(model, *rejected) - margin
        total = total - torch.nn.functional.logsigmoid(beta * gained) / len(rows)
    return total + _sft(model, rows)
