"""What a training worker is told before it trains: DeepSpeed's JSON, TRL's arguments, threads and communication.

`training` calls this in every worker; `on_ray.trainer` reads the DeepSpeed file on the driver.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lema_ray.config import ConfigError, TrainConfig

if TYPE_CHECKING:
    from lema_ray.training.loop import TrainJob

PRESETS = Path(__file__).parent / "deepspeed"
OURS = {
    "output_dir": "the run folder decides where checkpoints go",
    "deepspeed": "set train.deepspeed",
    "max_length": "set train.max_length",
    "remove_unused_columns": "the batch is made from our own columns",
    "dataset_kwargs": "rows arrive tokenized",
    "packing": "set train.packing",
    "use_cpu": "set train.gpus_per_worker to 0",
    "accelerator_config": "it carries what DeepSpeed needs on the CPU",
    "eval_packing": "dev rows are padded",
    "padding_free": "set train.packing",
    "seed": "set the run's seed",
}
"""Keys of SFTConfig and DPOConfig that `train.trainer` may not set, and what decides instead."""
OURS_IN_DPO = {"beta": "set train.dpo.beta", "loss_type": "set train.dpo", "loss_weights": "set train.dpo.nll"}


AUTO = "auto"
"""`train.deepspeed`: one of the shipped files, picked by `training.memory`."""
SAME = {
    ("train_micro_batch_size_per_gpu",): "per_device_train_batch_size",
    ("gradient_accumulation_steps",): "gradient_accumulation_steps",
    ("gradient_clipping",): "max_grad_norm",
    ("bf16", "enabled"): "bf16",
    ("fp16", "enabled"): "fp16",
    ("optimizer", "params", "lr"): "learning_rate",
    ("optimizer", "params", "weight_decay"): "weight_decay",
}
"""Keys of a DeepSpeed file and what they are called in TRL's arguments."""


def load_presets() -> dict[str, dict[str, Any]]:
    """The shipped DeepSpeed files by name."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(PRESETS.glob("*.json"))}


def settled(settings: TrainConfig, deepspeed: dict[str, Any] | None) -> TrainConfig:
    """The settings with what the DeepSpeed file decides filled in; "auto" and what it leaves out stay as they are.

    Raises `ConfigError` that names both values where the two say different things.
    """
    trainer = dict(settings.trainer)
    for keys, name in SAME.items():
        value: Any = deepspeed or {}
        for key in keys:
            value = value.get(key, AUTO) if isinstance(value, dict) else AUTO
        if value == AUTO:
            continue
        if trainer.setdefault(name, value) != value:
            raise _contradiction(settings, ".".join(keys), value, f"train.trainer.{name}", trainer[name])
    batch = (deepspeed or {}).get("train_batch_size", AUTO)
    sizes = (trainer.get("per_device_train_batch_size", 8), trainer.get("gradient_accumulation_steps", 1))
    if batch not in (AUTO, sizes[0] * sizes[1] * settings.workers):
        ours = f"{sizes[0]} x {sizes[1]} x {settings.workers}"
        raise _contradiction(settings, "train_batch_size", batch, "rows x accumulation x workers", ours)
    return settings.model_copy(update={"trainer": trainer})


def _contradiction(settings: TrainConfig, theirs: str, value: Any, ours: str, own: Any) -> ConfigError:
    return ConfigError(
        f'train.deepspeed: {settings.deepspeed} has {theirs} {value}, {ours} is {own}: leave one out, or write "auto"'
    )


def load_deepspeed(name: str | None) -> dict[str, Any] | None:
    """A DeepSpeed JSON by path or shipped name, as it is; None trains without DeepSpeed. Raises `ConfigError`."""
    if name is None or name == AUTO:
        return None
    shipped = PRESETS / f"{name}.json"
    path = shipped if shipped.exists() else Path(name).expanduser()
    try:
        config = json.loads(path.read_text())
    except FileNotFoundError:
        known = ", ".join(sorted(p.stem for p in PRESETS.glob("*.json")))
        raise ConfigError(f"train.deepspeed: no such file {name!r}; the shipped ones are {known}, or auto") from None
    except ValueError as error:
        raise ConfigError(f"train.deepspeed: {path} is not valid JSON: {error}") from None
    zero = config.get("zero_optimization", {})
    if zero.get("stage") == 3 and not zero.get("stage3_gather_16bit_weights_on_model_save"):
        raise ConfigError(
            f"train.deepspeed: {path} asks for ZeRO-3; set zero_optimization.stage3_gather_16bit_weights_on_model_save"
            " to true in it, or the saved model would be empty"
        )
    return dict(config)


def start_worker(cpus: float, on_gpu: bool) -> None:
    """Set this process up for training: threads, no telemetry, and DeepSpeed's communication.

    Communication must be up before a model is built: ZeRO-3 partitions it as it loads and would see one worker only.
    """
    threads = max(1, int(cpus))
    os.environ.update(OMP_NUM_THREADS=str(threads), HF_HUB_DISABLE_TELEMETRY="1", TOKENIZERS_PARALLELISM="false")
    if not on_gpu:
        os.environ["DS_ACCELERATOR"] = "cpu"
    import warnings

    import torch

    warnings.filterwarnings("ignore", category=FutureWarning, module=r"torch\.distributed")
    torch.set_num_threads(threads)
    import deepspeed

    # Used in inference alone, and compiled at first use: 47 s on two cores, and a compiler that a laptop may not have.
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    deepspeed.init_distributed(dist_backend="nccl" if on_gpu else "gloo", verbose=False)


def build_trainer_arguments(job: TrainJob) -> Any:
    """TRL's arguments: our defaults, then `train.trainer`, then what only we can know. Raises `ConfigError`."""
    from trl import DPOConfig, SFTConfig

    made = DPOConfig if job.objective == "dpo" else SFTConfig
    known = [field.name for field in dataclasses.fields(made) if field.init]
    check_trainer_keys(job.settings.trainer, known, OURS | (OURS_IN_DPO if job.objective == "dpo" else {}))
    defaults: dict[str, Any] = {
        "report_to": "none",
        "disable_tqdm": True,
        "eval_strategy": "epoch" if job.dev_rows else "no",
    }
    if not job.on_gpu:
        defaults |= {"bf16": False, "gradient_checkpointing": False, "model_init_kwargs": {"dtype": "float32"}}
        defaults |= {"dataloader_pin_memory": False} | _accelerate_on_cpu(job.deepspeed is not None)
    ours = {
        "output_dir": job.checkpoints,
        "deepspeed": job.deepspeed,
        "max_length": None,
        "remove_unused_columns": False,
        "seed": job.seed,
    }
    ours |= _dpo(job.settings) if job.objective == "dpo" else {"dataset_kwargs": {"skip_prepare_dataset": True}}
    _check_reporting((defaults | job.settings.trainer)["report_to"])
    try:
        return made(**(defaults | job.settings.trainer | ours))
    except (TypeError, ValueError) as error:
        raise ConfigError(f"train.trainer: {made.__name__} refuses these settings: {error}") from error


def _check_reporting(report_to: str | Sequence[str]) -> None:
    from transformers.integrations import get_available_reporting_integrations

    wanted = {report_to} if isinstance(report_to, str) else set(report_to)
    if missing := wanted - {"none", "all", *get_available_reporting_integrations()}:
        raise ConfigError(f"train.trainer.report_to: {', '.join(sorted(missing))} is not installed here, or not known")


def _dpo(settings: TrainConfig) -> dict[str, Any]:
    """The DPO loss, and beside it TRL's `sft` term: the chosen answers' NLL, a mean over the batch's learned tokens."""
    weighted = {"sigmoid": 1.0} | ({"sft": settings.dpo.nll} if settings.dpo.nll else {})
    return {"beta": settings.dpo.beta, "loss_type": list(weighted), "loss_weights": list(weighted.values())}


def _accelerate_on_cpu(with_deepspeed: bool) -> dict[str, Any]:
    """The settings by which accelerate trains on the CPU, with all workers and with DeepSpeed.

    Told to use the CPU (`use_cpu`, ACCELERATE_USE_CPU), accelerate leaves DeepSpeed out without a word; not told so, it
    finds no backend and counts one worker. Handed a state that is set up already, it gets both right.
    """
    if not with_deepspeed:
        return {"use_cpu": True}
    from accelerate import PartialState

    os.environ["ACCELERATE_USE_DEEPSPEED"] = "true"
    PartialState(backend="gloo")
    return {"accelerator_config": {"use_configured_state": True}}


def check_trainer_keys(trainer: dict[str, Any], known: Sequence[str], ours: Mapping[str, str] = OURS) -> None:
    """Raise `ConfigError` for a key that TRL's arguments do not have, or that is decided elsewhere."""
    for key in trainer:
        if key in ours:
            raise ConfigError(f"train.trainer.{key}: {ours[key]}")
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            raise ConfigError(
                f"train.trainer.{key}: TRL's arguments have no such field"
                + (f"; did you mean {near[0]!r}?" if near else "")
            )
