"""The plan of a run's training as text: memory of each GPU by DeepSpeed preset, steps, and time. Nothing is started.

For `lema train --dry-run` and `lema run --dry-run`. The arithmetic is `training.memory`'s, which also picks the preset
of a real training.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from lema_ray.config import RunConfig, TrainConfig, VLLMSpec
from lema_ray.models import BUILT_IN, resolve_model
from lema_ray.runs import RunFolder
from lema_ray.training.deepspeed_files import load_deepspeed, load_presets, settled
from lema_ray.training.memory import ModelShape, describe, model_shape, needed, pick_preset, training_load
from lema_ray.training.meter import PEAK_TFLOPS
from lema_ray.training.tokenized import arm_objective, row_limit

USUAL_MFU = (0.25, 0.5)
"""What fine-tuning of small and middling models usually reaches of a GPU's peak."""


@dataclass(frozen=True, slots=True)
class Machines:
    """What a training is planned for. `gpu` is a part of the GPU's name, for its speed; None: speed not known."""

    gpus: int
    gpu_gb: float
    host_gb: float
    gpu: str | None = None


def this_machine(settings: TrainConfig) -> Machines | None:
    """The configured workers, with this machine's GPU; on the CPU each worker's share of the memory.

    None where the config wants GPUs and this machine has none.
    """
    host = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    if not settings.gpus_per_worker:
        return Machines(settings.workers, host / settings.workers, host)
    import torch

    if not torch.cuda.is_available():
        return None
    found = torch.cuda.get_device_properties(0)
    return Machines(settings.workers, found.total_memory / 1e9, host, found.name)


def plan_of(config: RunConfig, machines: Machines | None = None) -> str:
    """`training_plan` of a config for given machines, else for this one; a reason in its place where there is none."""
    students = [s.engine.model for s in config.students if isinstance(s.engine, VLLMSpec)]
    base = config.train.base or next(iter(students), None)
    if base is None or base in BUILT_IN:
        return f"training: {base or 'no model'} is small, or not there yet: nothing to plan"
    machines = machines or this_machine(config.train)
    if machines is None:
        return "training: no GPU here to plan for; `lema train --dry-run --gpu-memory 80 --gpu H100` plans for others"
    try:
        return training_plan(config, base, machines, RunFolder(config.folder))
    except OSError as error:
        return f"training: {base} cannot be looked at from here ({str(error).splitlines()[0]})"


def training_plan(config: RunConfig, base: str, machines: Machines, run: RunFolder | None = None) -> str:
    """The plan of every arm, from the model's config alone and, where `build` is done, the arms' rows."""
    path = resolve_model(base)
    shape, lines = model_shape(path), [f"training {base} on {machines.gpus} x {machines.gpu_gb:.0f} GB"]
    lines.append(f"model: {shape.weights / 1e6:,.1f} M weights, {shape.layers} layers, hidden size {shape.hidden}")
    if len(config.train.seeds) > 1:
        lines.append(f"every arm is trained {len(config.train.seeds)} times, once with each of train.seeds")
    for arm in config.build.arms:
        lines += [f"{arm}: {line}" for line in _arm(config, shape, path, arm, machines, run)]
    return "\n".join(lines)


def _arm(
    config: RunConfig, shape: ModelShape, base: str, arm: str, machines: Machines, run: RunFolder | None
) -> Iterator[str]:
    counts = _counts(run, arm)
    settings = config.train.model_copy(update={"workers": machines.gpus})
    fewest = min(machines.gpus, settings.fewest_workers)
    objective = arm_objective(run, arm, settings.objective) if run and counts else settings.objective or "sft"
    tokens = settings.max_length if settings.packing else counts.get("longest") or row_limit(base, settings.max_length)
    load = training_load(shape, settings, objective, tokens or row_limit(base, None))
    yield f"{settings.method} {objective}, {load.trained / 1e6:,.1f} M trained, {load.tokens:,} tokens a micro-batch"
    if settings.deepspeed == "auto":
        sizes = (machines.gpu_gb * 1e9, machines.host_gb * 1e9)
        name, lines = pick_preset(shape, load, load_presets(), fewest, *sizes)
        yield from lines
        yield f"deepspeed: {name}"
    else:
        deepspeed = load_deepspeed(settings.deepspeed)
        settled(settings, deepspeed)
        need = needed(shape, load, deepspeed, fewest)
        yield f"deepspeed {settings.deepspeed}: {describe(need)}; host {need.host / 1e9:.1f} GB"
    yield from _steps(settings, counts, machines)
    yield _time(shape, settings, counts.get("tokens"), machines, objective == "dpo")


def _counts(run: RunFolder | None, arm: str) -> dict[str, Any]:
    if run is None or not run.exists("examples", "card.json"):
        return {}
    return dict(run.read_json("examples", "card.json")["arms"].get(arm, {}).get("train", {}))


def _steps(settings: TrainConfig, counts: dict[str, Any], machines: Machines) -> Iterator[str]:
    options = settings.trainer
    batch = int(options.get("per_device_train_batch_size", 8)) * int(options.get("gradient_accumulation_steps", 1))
    rows = batch * machines.gpus
    yield f"{rows} rows a step" + (
        f", {counts['rows'] * options.get('num_train_epochs', 3) / rows:,.0f} steps for {counts['rows']:,} rows"
        if counts and not settings.packing
        else ""
    )


def _time(shape: ModelShape, settings: TrainConfig, tokens: int | None, machines: Machines, dpo: bool) -> str:
    peak = next((tflops for name, tflops in PEAK_TFLOPS.items() if name in (machines.gpu or "")), None)
    if peak is None:
        return "time: not known for this hardware; a training shows its pace after its first steps"
    work = shape.weights * ((6 if settings.method == "full" else 4) + (2 if dpo else 0))
    epochs = float(settings.trainer.get("num_train_epochs", 3))
    amount, what = (tokens * epochs, "this arm") if tokens else (1e6, "a million tokens")
    slow, fast = (amount * work / (machines.gpus * peak * 1e12 * mfu) for mfu in USUAL_MFU)
    hours = [seconds * machines.gpus / 3600 for seconds in (fast, slow)]
    return (
        f"time: {fast:,.3g} to {slow:,.3g} s for {what}, {hours[0]:,.2g} to {hours[1]:,.2g} GPU hours, at"
        f" {USUAL_MFU[0]:.0%} to {USUAL_MFU[1]:.0%} of {peak} TFLOPS"
    )
