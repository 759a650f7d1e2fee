"""What a training worker is told before it trains: TRL's arguments, threads and communication.

`loop` and `on_ray.training_worker` call this in every worker.
"""

from __future__ import annotations

import dataclasses
import difflib
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lema_ray.config import ConfigError, TrainConfig
from lema_ray.training.elastic import accumulation
from lema_ray.training.together import workers_there

if TYPE_CHECKING:
    from lema_ray.training.loop import TrainJob

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
        "run_name": job.card["arm"],
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
    ours |= {"gradient_accumulation_steps": accumulation(job.settings, workers_there())}
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
    rate = {"learning_rate": settings.dpo.learning_rate} if settings.dpo.learning_rate else {}
    return rate | {"beta": settings.dpo.beta, "loss_type": list(weighted), "loss_weights": list(weighted.values())}


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
