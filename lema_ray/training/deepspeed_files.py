"""DeepSpeed's JSON: a user's file used as it is, a shipped one, or `auto`; and whether it agrees with the config.

`on_ray.trainer` reads it on the driver, `planning.training` for a plan; `memory` picks among the shipped ones.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lema_ray.config import ConfigError, TrainConfig
from lema_ray.training.elastic import check_elastic

PRESETS = Path(__file__).parent / "deepspeed"
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

    Raises `ConfigError` that names both values where the two say different things, and for workers that cannot share a
    step's rows out.
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
    made = settings.model_copy(update={"trainer": trainer})
    check_elastic(made, deepspeed)
    return made


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
