"""The arithmetic of memory: what sharding and offloading take off a GPU, and which preset is picked for whom."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lema_ray.config import ConfigError, TrainConfig
from lema_ray.training.deepspeed_files import load_presets
from lema_ray.training.memory import (
    ModelShape,
    Need,
    adapter_weights,
    describe,
    model_shape,
    needed,
    pick_preset,
    training_load,
)

QWEN = ModelShape(1_543_714_304, 28, 1536, 8960, 256, 151_936, 151_936 * 1536)
"""A model of 1.5 B weights, as its config says."""
GB = 1e9


def _settings(method: str = "full", rows: int = 4, **trainer: int) -> TrainConfig:
    trainer |= {"per_device_train_batch_size": rows}
    return TrainConfig(method=method, gpus_per_worker=1, trainer=trainer)  # type: ignore[arg-type]


def _need(preset: str, workers: int, method: str = "full") -> Need:
    return needed(QWEN, training_load(QWEN, _settings(method), "sft", 1024), load_presets()[preset], workers)


def test_a_models_shape_is_read_from_its_config_alone(tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text((tiny_model / "config.json").read_text())
    config, shape = json.loads((tmp_path / "config.json").read_text()), model_shape(str(tmp_path))
    layer = 4 * 64 * 64 + 3 * 64 * 128 + 2 * 64
    assert shape.weights == config["vocab_size"] * 64 + 2 * layer + 64
    assert (shape.layers, shape.hidden, shape.intermediate, shape.key_values) == (2, 64, 128, 64)


def test_lora_weights_are_those_that_peft_adds(tiny_model: Path) -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(tiny_model)
    adapted = get_peft_model(model, LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM"))
    trained = sum(p.numel() for p in adapted.parameters() if p.requires_grad)
    assert adapter_weights(model_shape(str(tiny_model)), 4) == trained


def test_sixteen_bytes_a_weight_are_shared_out_by_stage() -> None:
    needs = {name: _need(name, 8) for name in ("zero1", "zero2", "zero3")}
    kept = {name: need.gpu for name, need in needs.items()}
    gradients = {name: need.in_turn["gradients for the step"] for name, need in needs.items()}
    weights = QWEN.weights
    assert kept["zero1"]["optimizer"] == kept["zero3"]["optimizer"] == 12 * weights / 8
    assert gradients["zero1"] == (2 + 4 / 8) * weights and gradients["zero2"] == (2 + 4) * weights / 8
    assert kept["zero2"]["weights"] == 2 * weights and kept["zero3"]["weights"] < weights
    totals = [_need(name, 8).total for name in ("zero1", "zero2", "zero3", "zero3_offload")]
    assert totals == sorted(totals, reverse=True)
    assert _need("zero2_offload", 8).host == pytest.approx(14 * weights)


def test_less_is_needed_for_an_adapter_and_more_for_a_reference_model() -> None:
    full, lora = _need("zero2", 1), _need("zero2", 1, "lora")
    assert lora.total < full.total / 2 and _need("zero2", 1, "qlora").total < lora.total
    pairs = needed(QWEN, training_load(QWEN, _settings(), "dpo", 1024), load_presets()["zero2"], 1)
    assert pairs.gpu["weights"] == 2 * full.gpu["weights"]
    assert pairs.in_turn["activations"] > full.in_turn["activations"]


def test_gradients_that_are_kept_between_micro_batches_come_on_top_of_activations() -> None:
    once, preset = _need("zero2", 8), load_presets()["zero2"]
    several = training_load(QWEN, _settings(gradient_accumulation_steps=4), "sft", 1024)
    assert once.in_turn["activations"] > once.in_turn["gradients for the step"]
    assert needed(QWEN, several, preset, 8).total == pytest.approx(once.total + 2 * QWEN.weights / 8)
    assert "the larger of" in describe(once)


@pytest.mark.parametrize(
    ("method", "gpus", "memory", "picked"),
    [
        ("full", 1, 80, "zero2"),
        ("full", 1, 24, "zero2_offload"),
        ("full", 8, 24, "zero2"),
        ("full", 8, 9, "zero3"),
        ("lora", 1, 24, "zero2"),
    ],
)
def test_the_fastest_preset_that_fits_is_picked(method: str, gpus: int, memory: float, picked: str) -> None:
    load = training_load(QWEN, _settings(method, rows=1), "sft", 1024)
    name, lines = pick_preset(QWEN, load, load_presets(), gpus, memory * GB, 128 * GB)
    assert name == picked
    assert all("does not fit" in line for line in lines[:-1]) and " GB = " in lines[-1] and "weights" in lines[-1]


def test_a_model_that_fits_nowhere_is_refused_with_the_arithmetic() -> None:
    load = training_load(QWEN, _settings(rows=64), "sft", 4096)
    with pytest.raises(ConfigError, match=r"no preset fits 1 x 8 GB.*\n.*zero2 .*does not fit(.|\n)*smaller"):
        pick_preset(QWEN, load, load_presets(), 1, 8 * GB, 16 * GB)
