"""Real fine-tuning on Ray Train with DeepSpeed: one worker and two, full and LoRA, and what is refused."""

from __future__ import annotations

import json
import os
import random
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from killing import descendants
from on_ray_config import small

from lema_ray.config import RunConfig, parse_config
from lema_ray.models import ModelError, check_model
from lema_ray.on_ray.evaluate import examiners, proven, trained_spec
from lema_ray.on_ray.trainer import _explained, _plan, train_arm, train_arms
from lema_ray.records import Message, Question, Span, TrainingExample
from lema_ray.runs import RunFolder
from lema_ray.training.loop import TrainingFailed
from lema_ray.training.saved_model import check_saved_model

pytestmark = [pytest.mark.ray, pytest.mark.train, pytest.mark.usefixtures("cluster")]

TRAINER = {"num_train_epochs": 2, "logging_steps": 1, "learning_rate": 0.001, "save_strategy": "no"}


def _example(number: int, pair: bool = False) -> TrainingExample:
    chance = random.Random(number)
    a, b = chance.randrange(2, 99), chance.randrange(2, 99)
    prompt = (Message("user", f"Tom has {a} apples and buys {b} more. How many are left?"),)
    target = (Span(f"Step 1: {a}+{b}={a + b}\n"), Span("3-2=1\n", False), Span(f"The answer is {a + b}."))
    rejected = (target[0], Span(f"The answer is {b}.")) if pair else None
    return TrainingExample(f"row-{number}", prompt, target, "cot", f"q{number}", rejected=rejected)


def _config(folder: Path, base: Path, batch: int, **train: Any) -> tuple[RunConfig, RunFolder]:
    trainer = TRAINER | {"per_device_train_batch_size": batch} | train.pop("trainer", {})
    arms = {"cot": {}, "lema": {}, "pairs": {}}
    config = parse_config(small(folder, train={"base": str(base), "trainer": trainer} | train, build={"arms": arms}))
    run = RunFolder(config.folder)
    for seed, arm in enumerate(("cot", "lema", "pairs")):
        rows = [_example(number, arm == "pairs") for number in range(100 * seed, 100 * seed + 48)]
        run.write_records(rows, TrainingExample, "examples", arm, "train.parquet")
        run.write_records(rows[:8], TrainingExample, "examples", arm, "dev.parquet")
    return config, run


def _losses(run: RunFolder, arm: str, name: str = "loss") -> list[float]:
    return [entry[name] for entry in run.read_json("models", arm, "loss.json") if name in entry]


@contextmanager
def killing_at(run: RunFolder, arm: str, step: int) -> Iterator[list[int]]:
    """Kill this session's training worker once its note has reached the step; the list then holds where it was."""
    killed: list[int] = []
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.005):
            reached = _reached(run, arm)
            if reached >= step:
                killed.append(reached)
                for worker in descendants(os.getpid(), "TrainWorker"):
                    worker.kill()
                return

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield killed
    finally:
        over.set()
        watcher.join()


def _reached(run: RunFolder, arm: str) -> int:
    noted = run.exists("checkpoints", arm, "progress.json")
    return int(run.read_json("checkpoints", arm, "progress.json")["step"]) if noted else 0


def save_broken_model(folder: Path, good: Path) -> Path:
    """A model with one weight that is no number."""
    from safetensors.numpy import load_file, save_file

    shutil.copytree(good, folder)
    weights = load_file(folder / "model.safetensors")
    weights["model.norm.weight"][0] = float("nan")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def _weights(folder: str) -> Any:
    from safetensors.numpy import load_file

    return load_file(Path(folder) / "model.safetensors")


@pytest.fixture(scope="module")
def by_one_worker(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, cluster: None) -> RunFolder:
    """Three arms, one of pairs, ZeRO-2, one worker; the second's directory holds what an interrupted run left there."""
    config, run = _config(
        tmp_path_factory.mktemp("one"), tiny_model, batch=8, deepspeed="auto", best="dev", seeds=[0, 7]
    )
    run.write_text("half a model", "models", "lema", "model.safetensors")
    run.write_text("half a model", "models", "lema.part", "model.safetensors")
    counts = train_arms(config, run, ["cot", "lema", "pairs"])
    assert counts["cot"]["examples"] == 48 and counts["cot"]["steps"] == 12
    assert 0 < counts["cot"]["learned_tokens"] < counts["cot"]["tokens"]
    assert [*counts] == ["cot", "lema", "pairs", "cot-seed7", "lema-seed7", "pairs-seed7"]
    assert train_arms(config, run, ["cot", "lema", "pairs"]) == counts
    return run


def test_one_worker_fine_tunes_two_arms_one_after_the_other(by_one_worker: RunFolder, tiny_model: Path) -> None:
    for arm in ("cot", "lema"):
        folder = by_one_worker.uri("models", arm)
        check_saved_model(folder, str(tiny_model))
        losses, dev = _losses(by_one_worker, arm), _losses(by_one_worker, arm, "eval_loss")
        assert len(losses) == 12 and losses[-1] < losses[0] - 1 and dev[1] < dev[0]
        assert json.loads((Path(folder) / "generation_config.json").read_text())["eos_token_id"] == 1
        assert "examples | 48" in (Path(folder) / "README.md").read_text()
        assert (Path(folder) / "chat_template.jinja").exists()
    assert _losses(by_one_worker, "cot") != _losses(by_one_worker, "lema")
    assert by_one_worker.files("models", suffix=".part") == [] and not by_one_worker.exists("models", "lema.part")


def test_another_seed_is_another_training_of_the_same_rows(by_one_worker: RunFolder, tiny_model: Path) -> None:
    check_saved_model(by_one_worker.uri("models", "lema-seed7"), str(tiny_model))
    first, other = (by_one_worker.read_json("models", name, "trained.json") for name in ("lema", "lema-seed7"))
    assert first["learned_tokens"] == other["learned_tokens"] and first["steps"] == other["steps"]
    assert _losses(by_one_worker, "lema") != _losses(by_one_worker, "lema-seed7")
    assert "| seed | 7 |" in by_one_worker.read_text("models", "lema-seed7", "README.md")


def test_an_arm_of_pairs_is_trained_by_dpo(by_one_worker: RunFolder, tiny_model: Path) -> None:
    check_saved_model(by_one_worker.uri("models", "pairs"), str(tiny_model))
    margins = _losses(by_one_worker, "pairs", "rewards/margins")
    assert margins[0] == pytest.approx(0, abs=1e-3) and margins[-1] > 0.5
    assert "DPO" in by_one_worker.read_text("models", "pairs", "README.md")


def test_each_log_says_how_fast_and_where_the_time_goes(by_one_worker: RunFolder) -> None:
    entry = by_one_worker.read_json("models", "cot", "loss.json")[0]
    shares = {name: value for name, value in entry.items() if name.startswith("time_")}
    assert set(shares) >= {"time_data", "time_forward", "time_backward"} and 0 < sum(shares.values()) <= 1.01
    assert entry["learned_tokens_per_second"] > 0 and entry["memory_gb"] > 0.1 and entry["grad_norm"] > 0
    assert "zero2" in by_one_worker.read_text("checkpoints", "cot", "plan.txt")


def test_the_weights_with_the_lowest_dev_loss_become_the_model(by_one_worker: RunFolder) -> None:
    counts = by_one_worker.read_json("models", "cot", "trained.json")
    dev = _losses(by_one_worker, "cot", "eval_loss")
    assert counts["best_step"] == 6 * (1 + dev.index(min(dev))) and counts["best_dev_loss"] == round(min(dev), 4)


def test_a_training_goes_on_from_its_checkpoint_after_its_worker_was_killed(
    tmp_path: Path, tiny_model: Path, by_one_worker: RunFolder
) -> None:
    saving = {"save_strategy": "steps", "save_steps": 2}
    config, run = _config(tmp_path, tiny_model, batch=8, deepspeed="auto", best="dev", trainer=saving)
    with killing_at(run, "cot", 5) as killed:
        train_arm(config, run, "cot")
    assert 5 <= killed[0] < 12
    for name in ("loss", "eval_loss"):
        assert _losses(run, "cot", name) == pytest.approx(_losses(by_one_worker, "cot", name), rel=1e-5)
    ours, theirs = _weights(run.uri("models", "cot")), _weights(by_one_worker.uri("models", "cot"))
    assert all(abs(ours[name] - theirs[name]).max() < 1e-6 for name in theirs)


def test_a_loss_that_is_no_number_names_its_rows(tmp_path: Path, tiny_model: Path) -> None:
    broken = save_broken_model(tmp_path / "broken", tiny_model)
    config, run = _config(tmp_path, broken, batch=4)
    with pytest.raises(TrainingFailed, match=r"^step 1: the loss is not a number, .* rows (row-\d+, ){3}row-\d+\. "):
        train_arm(config, run, "cot")


def check_same_losses(ours: list[float], theirs: list[float]) -> None:
    """Equal but for rounding at first; each step multiplies the rounding of two orders of summing by about three."""
    assert ours[:5] == pytest.approx(theirs[:5], rel=1e-5)
    assert ours == pytest.approx(theirs, rel=1e-2)


def test_two_workers_with_zero3_learn_what_one_worker_learns(
    tmp_path: Path, tiny_model: Path, by_one_worker: RunFolder
) -> None:
    config, run = _config(tmp_path, tiny_model, batch=4, workers=2, deepspeed="zero3")
    train_arms(config, run, ["cot", "lema"])
    for arm in ("cot", "lema"):
        check_saved_model(run.uri("models", arm), str(tiny_model))
        check_same_losses(_losses(run, arm), _losses(by_one_worker, arm))


def test_lora_saves_the_merged_model_and_keeps_the_adapter(tmp_path: Path, tiny_model: Path) -> None:
    config, run = _config(tmp_path, tiny_model, batch=8, method="lora", lora={"r": 4}, trainer={"max_steps": 4})
    assert train_arm(config, run, "cot")["steps"] == 4
    folder = run.uri("models", "cot")
    check_saved_model(folder, str(tiny_model))
    assert run.exists("models", "cot", "adapter", "adapter_model.safetensors")
    before, after = _weights(str(tiny_model)), _weights(folder)
    changed = {name for name in before if abs(before[name] - after[name]).max() > 0}
    assert changed == {name for name in before if "_proj" in name}


def test_lora_can_leave_the_adapter_alone_and_it_is_served_on_its_base(tmp_path: Path, tiny_model: Path) -> None:
    lora = {"r": 4, "merge": False}
    config, run = _config(tmp_path, tiny_model, batch=8, method="lora", lora=lora, trainer={"max_steps": 4})
    assert train_arm(config, run, "cot")["steps"] == 4
    folder = Path(run.uri("models", "cot"))
    assert not list(folder.glob("model*.safetensors")) and not (folder / "adapter").exists()
    assert "on top of" in (folder / "README.md").read_text() and (folder / "chat_template.jinja").exists()
    with pytest.raises(ModelError, match=f"an adapter, not a model: name its base .*{tiny_model}"):
        check_model(str(folder))
    spec = trained_spec(config, str(tiny_model), str(folder))
    questions = [Question(f"q{n}", f"Tom has {n} apples and buys 5 more.", str(n + 5), "made") for n in (3, 4)]
    with examiners(config) as pool:
        answer, agreed = proven(pool, config, spec, questions)
    assert spec.lora == str(folder) and answer and sum(one.tokens for one in agreed) > 0


def test_a_full_disk_is_one_line_and_other_deaths_are_told_whole(tmp_path: Path, tiny_model: Path) -> None:
    config, run = _config(tmp_path, tiny_model, batch=8)
    plan = _plan(config, run, ("cot",))
    with open("/dev/full", "wb", buffering=0) as full, pytest.raises(OSError) as error:
        full.write(b"a checkpoint")
    said = _explained(plan, f"Worker 0 failed:\nTraceback ...\nOSError: {error.value}")
    assert said.startswith("training cot: the disk is full") and "checkpoint is kept" in said and "\n" not in said
    assert "failed 2 times in its workers:\nkilled" in _explained(plan, "killed")


def test_a_row_that_does_not_fit_is_refused_by_its_id_and_not_tried_again(tmp_path: Path, tiny_model: Path) -> None:
    config, run = _config(tmp_path, tiny_model, batch=8, max_length=30)
    with pytest.raises(TrainingFailed, match=r"^48 of 48 rows are longer than the 30 tokens .*row-\d+ \(\d+ tokens\)"):
        train_arm(config, run, "cot")
    assert not run.exists("models", "cot")
