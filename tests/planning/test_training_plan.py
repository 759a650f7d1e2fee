"""The training plan as text: arithmetic, preset, steps and time, for machines that are not at hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lema_ray.config import ConfigError, parse_config
from lema_ray.models import ModelError
from lema_ray.planning.training import Machines, plan_of, training_plan
from lema_ray.runs import RunFolder


@pytest.fixture
def model(tmp_path: Path) -> str:
    """The config of a model of 1.5 B weights, without weights or tokenizer."""
    shape = {"hidden_size": 1536, "num_hidden_layers": 28, "intermediate_size": 8960, "num_attention_heads": 12}
    shape |= {"num_key_value_heads": 2, "vocab_size": 151936, "max_position_embeddings": 32768}
    kind = {"model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"], "tie_word_embeddings": True}
    (tmp_path / "config.json").write_text(json.dumps(shape | kind))
    return str(tmp_path)


def _config(model: str, **train: Any) -> Any:
    train = {"base": model, "gpus_per_worker": 1, "max_length": 2048, "deepspeed": "auto"} | train
    train["trainer"] = {"per_device_train_batch_size": 4} | train.get("trainer", {})
    sets = {"train": {"source": "word_problems"}, "test": {"source": "word_problems"}}
    plain = {"engine": {"type": "scripted"}}
    return parse_config(
        {"name": "p", "runs_dir": model, "questions": sets, "students": [plain], "corrector": plain}
        | {"train": train, "build": {"arms": {"lema": {}}}}
    )


@pytest.mark.parametrize(("gpus", "gb", "preset"), [(1, 80, "zero2"), (1, 24, "zero2_offload"), (64, 80, "zero2")])
def test_a_model_is_planned_from_its_config_alone(model: str, gpus: int, gb: float, preset: str) -> None:
    text = plan_of(_config(model), Machines(gpus, gb, 512, "H100"))
    assert "1,543.7 M weights, 28 layers" in text and f"lema: deepspeed: {preset}\n" in text + "\n"
    assert f"{4 * gpus} rows a step" in text and "GPU hours" in text and "a million tokens" in text


def test_the_rows_of_a_build_give_steps_and_time(model: str) -> None:
    run = RunFolder(f"{model}/p")
    counts = {"rows": 8000, "tokens": 2_000_000, "longest": 600}
    run.write_json({"arms": {"lema": {"train": counts}}}, "examples", "card.json")
    config = _config(model, deepspeed="zero3", objective="sft", trainer={"num_train_epochs": 2})
    text = training_plan(config, model, Machines(8, 80, 512, "A100"), run)
    assert "deepspeed zero3: " in text and "500 steps for 8,000 rows" in text and "2,400 tokens a micro-batch" in text
    seconds = 4e6 * 1_543_714_304 * 6 / (8 * 312e12 * 0.5)
    assert f"time: {seconds:.3g} to {2 * seconds:.3g} s for this arm" in text


def test_a_plan_names_what_contradicts_itself_and_what_cannot_fit(model: str, tmp_path: Path) -> None:
    (tmp_path / "mine.json").write_text('{"train_micro_batch_size_per_gpu": 16, "zero_optimization": {"stage": 2}}')
    with pytest.raises(ConfigError, match=r"train_micro_batch_size_per_gpu 16, .* is 4"):
        plan_of(_config(model, deepspeed=str(tmp_path / "mine.json")), Machines(1, 80, 512))
    with pytest.raises(ConfigError, match="no preset fits 1 x 4 GB"):
        plan_of(_config(model), Machines(1, 4, 8))


def test_a_folder_that_is_no_model_is_one_line(model: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match=r"empty: no model configuration can be read"):
        plan_of(_config(model, base=str(tmp_path / "empty")), Machines(1, 80, 512))
