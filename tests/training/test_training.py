"""Settings that training refuses before it starts, the shipped DeepSpeed files, and what counts as a saved model."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest

from lema_ray.attempts import solve_prompt
from lema_ray.config import ConfigError, TrainConfig
from lema_ray.models import ModelError
from lema_ray.records import Message, Question, Span, TrainingExample
from lema_ray.runs import RunFolder
from lema_ray.training import elastic, settings
from lema_ray.training.deepspeed_files import load_deepspeed, load_presets, settled
from lema_ray.training.model_card import model_card, taught_tasks, with_scores
from lema_ray.training.saved_model import check_saved_model, finish_model
from lema_ray.training.settings import check_trainer_keys
from lema_ray.training.trainers import quantization

CARD = {"base": "some/base", "arm": "lema", "kind": "full", "objective": "sft", "counts": {"examples": 12}}
CARD |= {"settings": {"learning_rate": 0.001}, "questions": "gsm8k", "recipe": "lema", "seed": 1}
KNOWN = ["learning_rate", "num_train_epochs", "max_length"]


@pytest.mark.parametrize(
    ("key", "message"),
    [("learning_rat", "did you mean 'learning_rate'"), ("xyzzy", "no such field"), ("max_length", "train.max_length")],
)
def test_trainer_settings_that_would_do_nothing_are_refused(key: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_trainer_keys({key: 1}, KNOWN)
    check_trainer_keys({"learning_rate": 1}, KNOWN)


def test_what_dpo_decides_by_its_own_section_is_refused_beside_it() -> None:
    ours = settings.OURS | settings.OURS_IN_DPO
    with pytest.raises(ConfigError, match=r"train\.trainer\.beta: set train\.dpo\.beta"):
        check_trainer_keys({"beta": 0.5}, ["beta"], ours)


def test_methods_that_cannot_work_are_refused_by_the_config() -> None:
    with pytest.raises(ValueError, match="qlora needs a GPU"):
        TrainConfig(method="qlora")
    with pytest.raises(ValueError, match="packing: pairs are padded"):
        TrainConfig(objective="dpo", packing=True)
    if find_spec("bitsandbytes") is None:
        with pytest.raises(ConfigError, match="needs the package bitsandbytes"):
            quantization(TrainConfig(method="qlora", gpus_per_worker=1))


def test_a_deepspeed_file_is_used_as_it_is(tmp_path: Path) -> None:
    mine = {"zero_optimization": {"stage": 1, "offload_optimizer": {"device": "cpu"}}, "train_batch_size": "auto"}
    (tmp_path / "mine.json").write_text(json.dumps(mine))
    assert load_deepspeed(str(tmp_path / "mine.json")) == mine
    assert load_deepspeed(None) is None
    presets = load_presets()
    assert set(presets) == {"zero1", "zero2", "zero2_offload", "zero3", "zero3_offload", "zero3_nvme"}
    for name, preset in presets.items():
        assert load_deepspeed(name) == preset and str(preset["zero_optimization"]["stage"]) == name[4]
        assert len(preset["//"]) > 1, "each says what it is for"


def test_deepspeed_itself_takes_every_shipped_file() -> None:
    from deepspeed.runtime.config import DeepSpeedConfig

    for preset in load_presets().values():
        numbers = {"train_batch_size": 4, "train_micro_batch_size_per_gpu": 4, "gradient_accumulation_steps": 1}
        plain = {k: v for k, v in preset.items() if v != "auto" and k not in ("bf16", "fp16")} | numbers
        plain["zero_optimization"] = {k: v for k, v in preset["zero_optimization"].items() if v != "auto"}
        assert DeepSpeedConfig(plain).zero_config.stage == preset["zero_optimization"]["stage"]


def test_what_only_the_deepspeed_file_says_is_taken_over() -> None:
    config = {"train_micro_batch_size_per_gpu": 4, "gradient_clipping": 0.5, "gradient_accumulation_steps": "auto"}
    trainer = {"learning_rate": 1e-4, "max_grad_norm": 0.5}
    assert settled(TrainConfig(trainer=trainer), config).trainer == trainer | {"per_device_train_batch_size": 4}
    assert settled(TrainConfig(trainer=trainer), None).trainer == trainer


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"train_micro_batch_size_per_gpu": 4}, "train_micro_batch_size_per_gpu 4, .*per_device_train_batch_size is 2"),
        ({"optimizer": {"params": {"lr": 0.1}}}, "optimizer.params.lr 0.1, .*learning_rate is 0.001"),
        ({"train_batch_size": 64}, "train_batch_size 64, .* is 2 x 1 x 3"),
    ],
)
def test_a_deepspeed_file_that_contradicts_the_config_is_refused_with_both_values(config: dict, message: str) -> None:
    settings = TrainConfig(workers=3, trainer={"per_device_train_batch_size": 2, "learning_rate": 0.001})
    with pytest.raises(ConfigError, match=message):
        settled(settings, config)


@pytest.mark.parametrize(
    ("workers", "fewest", "accumulation", "message"),
    [
        (2, 1, 1, None),
        (4, 2, 3, None),
        (4, 2, 1, "gradient_accumulation_steps to 3 or a multiple"),
        (8, 7, 2, "gradient_accumulation_steps to 7 or a multiple"),
    ],
)
def test_each_number_of_workers_can_share_a_step_out(
    workers: int, fewest: int, accumulation: int, message: str | None
) -> None:
    given = {"gradient_accumulation_steps": accumulation}
    settings = TrainConfig(workers=workers, min_workers=fewest, trainer=given)
    if message:
        with pytest.raises(ConfigError, match=message):
            settled(settings, None)
    else:
        settled(settings, None)
        batches = {n: n * elastic.accumulation(settings, n) for n in range(fewest, workers + 1)}
        assert set(batches.values()) == {workers * accumulation}


def test_workers_that_come_and_go_need_their_own_accumulation() -> None:
    settings = TrainConfig(workers=2, min_workers=1, deepspeed="mine.json")
    with pytest.raises(ConfigError, match=r'mine\.json sets gradient_accumulation_steps.*write "auto"'):
        settled(settings, {"gradient_accumulation_steps": 1})
    with pytest.raises(ValueError, match="3 are more than the 2 of workers"):
        TrainConfig(workers=2, min_workers=3)


def test_deepspeed_files_that_cannot_work_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no such file 'zero9'.*zero1, zero2, .*, or auto"):
        load_deepspeed("zero9")
    bad, scattered = tmp_path / "bad.json", tmp_path / "scattered.json"
    bad.write_text("{")
    scattered.write_text('{"zero_optimization": {"stage": 3}}')
    with pytest.raises(ConfigError, match="not valid JSON"):
        load_deepspeed(str(bad))
    with pytest.raises(ConfigError, match="stage3_gather_16bit_weights_on_model_save"):
        load_deepspeed(str(scattered))


@pytest.fixture
def saved(tiny_model: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_model, tmp_path / "saved"))


def test_a_whole_model_passes_with_its_size(saved: Path, tiny_model: Path) -> None:
    found = check_saved_model(str(saved), str(tiny_model))
    assert found.parameters * 4 <= found.bytes == (saved / "model.safetensors").stat().st_size


def test_an_interrupted_save_is_not_a_model(saved: Path, tiny_model: Path) -> None:
    weights = saved / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    with pytest.raises(ModelError, match="interrupted"):
        check_saved_model(str(saved), str(tiny_model))
    (saved / "model.safetensors.index.json").write_text('{"weight_map": {"a": "model-2-of-2.safetensors"}}')
    with pytest.raises(ModelError, match=r"model-2-of-2\.safetensors"):
        check_saved_model(str(saved), str(tiny_model))


def test_tensors_that_are_missing_or_were_not_gathered_are_found(saved: Path, tiny_model: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(saved / "model.safetensors")
    name = "model.layers.1.mlp.up_proj.weight"
    empty = weights.pop(name)[:0].clone()
    save_file(weights, saved / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=f"1 tensors of the base are not in .*{name}"):
        check_saved_model(str(saved), str(tiny_model))
    save_file(weights | {name: empty}, saved / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=rf"another shape.*{name} \(0, 64\)"):
        check_saved_model(str(saved), str(tiny_model))


def test_a_finished_model_stops_at_the_end_of_its_turn(saved: Path) -> None:
    (saved / "generation_config.json").write_text('{"eos_token_id": 9}')
    (saved / "training_args.bin").write_bytes(b"pickle")
    finish_model(str(saved), 1, CARD)
    assert json.loads((saved / "generation_config.json").read_text())["eos_token_id"] == [1, 9]
    assert not (saved / "training_args.bin").exists()
    card = (saved / "README.md").read_text()
    assert card.startswith("---\nbase_model: some/base\n") and "| examples | 12 |" in card
    assert "license: other" in card and "| learning_rate | 0.001 |" in card and "from gsm8k" in card
    adapter = model_card(CARD | {"kind": "adapter"})
    assert "library_name: peft" in adapter and "to be loaded on top of" in adapter


def test_a_card_says_which_instruction_its_model_was_taught_with(tmp_path: Path) -> None:
    question = Question("q", "2 + 3?", "5", "here")
    cot = TrainingExample("1", solve_prompt(question), (Span("5"),), "cot", "q")
    correction = replace(cot, id="2", prompt=(Message("user", "Is this right?\n2 + 3 = 6"),), kind="lema")
    run = RunFolder(str(tmp_path))
    run.write_records([correction, cot, cot], TrainingExample, "examples", "lema", "train.parquet")
    run.write_records([correction], TrainingExample, "examples", "critic", "train.parquet")
    instruction = solve_prompt(question)[0].content.split("\n\n")[1]
    assert f"\n    {instruction}\n" in model_card(CARD | {"tasks": taught_tasks(run, "lema")})
    assert "as it was taught" not in model_card(CARD | {"tasks": taught_tasks(run, "critic")})
    both = model_card(CARD | {"tasks": ["arithmetic", "choice"]})
    assert "one of these" in both and instruction in both and "the letter of the best one" in both


def test_a_card_names_its_bases_licence_and_takes_the_scores_of_the_last_evaluation(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("---\nlicense: apache-2.0\ntags: [a]\n---\n# license: no\n")
    card = model_card(CARD | {"base": str(tmp_path)})
    assert "\nlicense: apache-2.0\n" in card and "(apache-2.0) applies" in card
    once = with_scores(card, [("greedy", "41.0%", "38.1% to 44.0%")])
    again = with_scores(once, [("greedy", "42.0%", "39.0% to 45.1%")])
    assert "| greedy | 42.0% | 39.0% to 45.1% |" in again and "41.0%" not in again and again.count("## Scores") == 1
