"""The same training with fewer workers, and with more again: `train.min_workers`.

A step learns from the same rows in the same order whoever takes part, as its batch is cut into more parts where workers
are fewer. DeepSpeed's checkpoint is in as many parts as there were workers, so another number of them reads it in the
universal format. `deepspeed_files`, `settings`, `loop` and `on_ray.training_checkpoints` call this.
Source: https://www.deepspeed.ai/tutorials/universal-checkpointing
"""

from __future__ import annotations

import contextlib
import io
from argparse import Namespace
from math import lcm
from pathlib import Path
from typing import Any

from lema_ray.config import ConfigError, TrainConfig

STEPS = "gradient_accumulation_steps"


def check_elastic(settings: TrainConfig, deepspeed: dict[str, Any] | None) -> None:
    """Raise `ConfigError` where some number of workers could not cut the batch into equal parts."""
    if settings.fewest_workers == settings.workers:
        return
    parts = _parts(settings)
    counts = range(settings.fewest_workers, settings.workers + 1)
    if any(parts % count for count in counts):
        needed = lcm(*counts, settings.workers) // settings.workers
        raise ConfigError(
            f"train.min_workers: {settings.workers} workers of {parts // settings.workers} batches are not the same for"
            f" every number of workers from {settings.fewest_workers}: set train.trainer.{STEPS} to {needed} or a"
            " multiple of it, or another min_workers"
        )
    if (deepspeed or {}).get(STEPS, "auto") != "auto":
        raise ConfigError(
            f'train.deepspeed: {settings.deepspeed} sets {STEPS}, which changes with the workers: write "auto"'
        )


def accumulation(settings: TrainConfig, workers: int) -> int:
    """How many batches of each of `workers` make a step, so that a step has the rows that the config says."""
    return _parts(settings) // workers if settings.min_workers else int(settings.trainer.get(STEPS, 1))


def fits(checkpoint: str, workers: int) -> bool:
    """Whether a trainer's checkpoint has a part of DeepSpeed's state for each worker."""
    return len(list(Path(checkpoint).glob("global_step*/*zero_pp_rank_*_optim_states.pt"))) in (0, workers)


def make_universal(checkpoint: str, folder: str) -> str:
    """Make `folder` the same checkpoint for any number of workers; the one that it is made from stays as it is."""
    from deepspeed.checkpoint import ds_to_universal

    Path(folder).mkdir()
    for file in Path(checkpoint).iterdir():
        (Path(folder) / file.name).symlink_to(file.absolute())
    tag = Path(checkpoint, "latest").read_text().strip()
    given = {"num_extract_workers": 1, "num_merge_workers": 1, "keep_temp_folder": False, "strict": True}
    places = {"input_folder": f"{checkpoint}/{tag}", "output_folder": f"{folder}/{tag}_universal"}
    with contextlib.redirect_stdout(io.StringIO()):
        ds_to_universal.main(Namespace(**given, **places, inject_missing_state=True))
    return folder


def load_universal(deepspeed: dict[str, Any]) -> dict[str, Any]:
    """DeepSpeed's JSON, told to read a checkpoint that `make_universal` made."""
    return deepspeed | {"checkpoint": deepspeed.get("checkpoint", {}) | {"load_universal": True}}


def mend_optimizer(checkpoint: str) -> Any:
    """A callback that puts right what DeepSpeed 0.19 does to torch's AdamW when ZeRO-3 reads a universal checkpoint.

    All its groups get one step counter, which then counts once a group, and the first group's weight decay.
    """
    from transformers import TrainerCallback

    class Mend(TrainerCallback):  # type: ignore[misc]
        def on_train_begin(self, args: Any, state: Any, control: Any, optimizer: Any = None, **kwargs: Any) -> None:
            import torch

            (saved,) = Path(checkpoint).glob("*_universal/zero/optimizer_state.pt")
            groups = torch.load(saved, map_location="cpu", weights_only=False)["param_groups"]
            while hasattr(optimizer, "optimizer"):
                optimizer = optimizer.optimizer
            for group, was in zip(optimizer.param_groups, groups, strict=True):
                group |= {name: value for name, value in was.items() if name not in ("params", "lr")}
            for held in optimizer.state.values():
                held["step"] = held["step"].clone() if torch.is_tensor(held["step"]) else held["step"]

    return Mend()


def _parts(settings: TrainConfig) -> int:
    return int(settings.workers * settings.trainer.get(STEPS, 1))
