"""What a training needs of each GPU, and which DeepSpeed preset that asks for: the arithmetic, before anything runs.

`on_ray.trainer` picks `deepspeed: auto` with it, `planning.training` prints it. Byte counts are those of mixed
precision with Adam (arXiv 1910.02054, section 3): 2 a weight, 2 a gradient, 12 for the master copy and both moments.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from lema_ray.config import ConfigError, Objective, TrainConfig
from lema_ray.models import ModelError

PRESETS_TRIED = ("zero2", "zero3", "zero2_offload", "zero3_offload", "zero3_nvme")
"""From the least talk between workers to the least memory. zero1 is left out: zero2 moves as much and keeps less."""
USABLE = 0.92
"""Of a GPU's memory: the rest is lost between blocks of the allocator."""
OVERHEAD = 1.5e9
"""Bytes of a GPU for the driver's context, kernels and NCCL's buffers."""


@dataclass(frozen=True, slots=True)
class ModelShape:
    """What the arithmetic needs of a model: numbers from its config alone."""

    weights: int
    layers: int
    hidden: int
    intermediate: int
    key_values: int
    vocabulary: int
    largest_layer: int


@dataclass(frozen=True, slots=True)
class Load:
    """What is trained, and one worker's share of a step. `tokens` are those of one micro-batch, padding included."""

    trained: int
    tokens: int
    checkpointing: bool
    bytes_per_weight: int
    base_bytes: float
    reference: bool
    accumulates: bool
    on_gpu: bool


@dataclass(frozen=True, slots=True)
class Need:
    """Bytes by part: of each worker's GPU (its process on the CPU), and of the host for all its workers' offloading.

    `in_turn` are activations and gradients: a backward pass makes the one while it gives up the other, so that only the
    larger counts. Gradients that are kept from one micro-batch to the next come on top.
    """

    gpu: dict[str, float]
    in_turn: dict[str, float]
    host: float

    @property
    def total(self) -> float:
        """Bytes of one GPU."""
        return sum(self.gpu.values()) + max(self.in_turn.values(), default=0.0)


def model_shape(base: str) -> ModelShape:
    """The shape of a model directory or hub id, built without memory: exact for every architecture there is.

    Raises `ModelError` for a folder that is no model's.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    try:
        config = AutoConfig.from_pretrained(base)
    except ValueError as error:
        raise ModelError(f"{base}: no model configuration can be read: {str(error).splitlines()[0]}") from error
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    text = config.get_text_config()
    heads = text.num_attention_heads
    head = getattr(text, "head_dim", None) or text.hidden_size // heads
    largest = max(sum(p.numel() for p in module.parameters(recurse=False)) for module in model.modules())
    return ModelShape(
        weights=sum(p.numel() for p in model.parameters()),
        layers=text.num_hidden_layers,
        hidden=text.hidden_size,
        intermediate=text.intermediate_size,
        key_values=head * (getattr(text, "num_key_value_heads", None) or heads),
        vocabulary=text.vocab_size,
        largest_layer=largest,
    )


def training_load(shape: ModelShape, settings: TrainConfig, objective: Objective, row_tokens: int) -> Load:
    """What one worker does in a micro-batch of rows of `row_tokens` tokens."""
    on_gpu = settings.gpus_per_worker > 0
    rows = int(settings.trainer.get("per_device_train_batch_size", 8)) * (2 if objective == "dpo" else 1)
    full = settings.method == "full"
    checkpointing = bool(settings.trainer.get("gradient_checkpointing", on_gpu))
    return Load(
        trained=shape.weights if full else adapter_weights(shape, settings.lora.r),
        tokens=rows * row_tokens,
        checkpointing=checkpointing,
        bytes_per_weight=2 if on_gpu else 4,
        base_bytes=0.55 if settings.method == "qlora" else 2 if on_gpu else 4,
        reference=objective == "dpo" and full and not settings.trainer.get("precompute_ref_log_probs"),
        accumulates=int(settings.trainer.get("gradient_accumulation_steps", 1)) > 1,
        on_gpu=on_gpu,
    )


def adapter_weights(shape: ModelShape, rank: int) -> int:
    """Weights of LoRA on all linear layers of a decoder with gated feed-forward layers."""
    attention = 4 * shape.hidden + 2 * (shape.hidden + shape.key_values)
    return shape.layers * rank * (attention + 3 * (shape.hidden + shape.intermediate))


def needed(shape: ModelShape, load: Load, deepspeed: dict[str, Any] | None, workers: int) -> Need:
    """Bytes for a DeepSpeed config on a number of workers."""
    zero = (deepspeed or {}).get("zero_optimization", {})
    stage = zero.get("stage", 0)
    moved = zero.get("offload_optimizer", {}).get("device", "none")
    parked = zero.get("offload_param", {}).get("device", "none")
    frozen = shape.weights - load.trained if load.trained < shape.weights else 0
    kept = load.bytes_per_weight * load.trained + load.base_bytes * frozen
    weights = kept / workers if stage == 3 else kept
    if load.reference:
        weights += load.bytes_per_weight * shape.weights / (workers if stage == 3 else 1)
    gradients = load.bytes_per_weight * load.trained / (workers if stage >= 2 else 1)
    # Adam's moments, and a master copy in 32 bits; DeepSpeed keeps that even where the weights have 32 bits already.
    states = (12 if deepspeed or load.bytes_per_weight == 2 else 8) * load.trained / (workers if stage >= 1 else 1)
    # Gathered for use: the largest layer and the one fetched ahead of it.
    gathered = 2 * load.bytes_per_weight * shape.largest_layer if stage == 3 else 0.0
    buckets = _buckets(zero, load) if deepspeed else 0.0
    gpu = {
        "weights": gathered if parked != "none" else weights + gathered,
        "optimizer": states if moved == "none" else 0.0,
        "buckets": buckets,
        "overhead": OVERHEAD,
    }
    # DeepSpeed's step begins with a copy of the gradients in 32 bits.
    copied = 4 * load.trained / (workers if stage >= 1 else 1) if deepspeed and moved == "none" else 0.0
    held = gradients if moved == "none" else 0.0
    gpu |= {"gradients": held} if load.accumulates else {}
    last = copied if load.accumulates else held + copied
    in_turn = {"activations": activations(shape, load), "gradients for the step": last}
    host = (states + gradients if moved == "cpu" else 0.0) + (weights if parked == "cpu" else 0.0)
    return Need(gpu, in_turn, host * workers)


def _buckets(zero: dict[str, Any], load: Load) -> float:
    """What gradients are sent from: two buffers where sending overlaps, taken whole; of a host's only what is used."""
    size = zero.get("reduce_bucket_size")
    if not isinstance(size, int):
        return 0.0
    held = size * (2 if zero.get("overlap_comm") else 1)
    return float(load.bytes_per_weight * (held if load.on_gpu else min(held, load.trained)))


def activations(shape: ModelShape, load: Load) -> float:
    """Bytes that a forward pass keeps for the backward pass, without attention scores (no kernel of ours keeps them).

    A layer keeps about 8 tensors of the hidden size, keys and values, and 4 of the feed-forward size; its norms work in
    32 bits. With checkpointing, one layer's, and the input of every layer. The head works in tiles of the vocabulary.
    """
    width = load.bytes_per_weight
    layer = load.tokens * (
        width * (8 * shape.hidden + 2 * shape.key_values + 4 * shape.intermediate) + 8 * shape.hidden
    )
    inputs = load.tokens * shape.layers * shape.hidden * width
    head = 3 * 4 * min(load.tokens * shape.vocabulary, 2**28)
    return float((layer + inputs if load.checkpointing else layer * shape.layers) + head)


def pick_preset(
    shape: ModelShape, load: Load, presets: dict[str, dict[str, Any]], workers: int, gpu_bytes: float, host_bytes: float
) -> tuple[str, list[str]]:
    """The first preset of `PRESETS_TRIED` that fits, and a line of arithmetic for each that was looked at.

    `host_bytes` is the memory of one host, whose GPUs are taken to be all of a training's up to 8. Raises `ConfigError`
    when none fits.
    """
    lines = []
    for name in PRESETS_TRIED:
        need = needed(shape, load, presets[name], workers)
        host = need.host * min(1, 8 / workers)
        fits = need.total <= USABLE * gpu_bytes and host <= USABLE * host_bytes
        lines.append(f"{name:<14} {describe(need)}; host {host / 1e9:.1f} GB{'' if fits else ': does not fit'}")
        if fits:
            return name, lines
    raise ConfigError(
        f"train.deepspeed: no preset fits {workers} x {gpu_bytes / 1e9:.0f} GB and {host_bytes / 1e9:.0f} GB of host"
        f" memory ({USABLE:.0%} usable):\n" + "\n".join(lines) + "\nUse more GPUs, lora or qlora, or a smaller"
        " per_device_train_batch_size or max_length"
    )


def describe(need: Need) -> str:
    """`12.3 GB = 3.1 weights + ... + the larger of 2.1 activations, 0.5 gradients`"""
    parts, in_turn = " + ".join(_parts(need.gpu)), ", ".join(_parts(need.in_turn))
    return f"{need.total / 1e9:6.1f} GB = {parts}" + (f" + the larger of {in_turn}" if in_turn else "")


def _parts(gpu: dict[str, float]) -> Iterator[str]:
    for part, size in gpu.items():
        if size:
            yield f"{size / 1e9:.2f} {part}"
