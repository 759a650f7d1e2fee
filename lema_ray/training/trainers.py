"""TRL's trainers on rows that are tokenized and labelled already: SFT and DPO, full weights, LoRA or QLoRA.

`loop` makes one for each model. Ours differ from TRL's in four things: DPO takes our labels as they are; SFT has the
loss of `sft_loss`; both stop when a batch's loss is no number, on all workers at once, with the ids of the batch's
rows; and both measure themselves.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from lema_ray.config import ConfigError, Objective, TrainConfig
from lema_ray.training.collating import PackedRows, PaddedRows, PairedRows
from lema_ray.training.first_step import TrainingFailed, check_packing
from lema_ray.training.meter import Meter
from lema_ray.training.packing import pack_rows, row_lengths
from lema_ray.training.sft_loss import SMALL_LOGITS, PlainNll, takes_positions

if TYPE_CHECKING:
    from lema_ray.training.loop import TrainJob


NOTES = ("rows", "counts")
"""Of a batch, what is not for the model."""


def open_trainer(job: TrainJob, arguments: Any, tokenizer: Any, callbacks: Iterable[Any]) -> Any:
    """The trainer of one job, its model loaded."""
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    rows, collator = _batches(job, pad, "flash" in str((arguments.model_init_kwargs or {}).get("attn_implementation")))
    trainer = trainer_class(job.objective)(
        model=job.base,
        args=arguments,
        train_dataset=rows,
        eval_dataset=job.dev_rows or None,
        data_collator=collator,
        processing_class=tokenizer,
        peft_config=None if job.settings.method == "full" else lora_config(job.settings),
        quantization_config=quantization(job.settings),
        callbacks=list(callbacks),
    )
    trainer.ids = lambda row: str((job.rows if trainer.model.training else job.dev_rows)[row]["id"])
    trainer.meter = Meter(flops_per_token(trainer.model, job))
    trainer.in_tiles = not takes_positions(trainer.model) or _most_logits(trainer, job) > SMALL_LOGITS
    return trainer


def _most_logits(trainer: Any, job: TrainJob) -> int:
    longest = max(row_lengths(job.rows))
    places = max(longest, job.settings.max_length or 0) if job.settings.packing else longest
    vocabulary = trainer.model.config.get_text_config().vocab_size
    return int(trainer.args.per_device_train_batch_size * places * vocabulary)


def _batches(job: TrainJob, pad: int, flash: bool) -> tuple[Any, Any]:
    """What the trainer draws from, and what makes a batch of it."""
    if job.objective == "dpo":
        return job.rows, PairedRows(pad)
    if job.settings.packing:
        return pack_rows(job.rows, job.settings.max_length), PackedRows(pad, job.rows, flash)
    return job.rows, PaddedRows(pad)


def flops_per_token(model: Any, job: TrainJob) -> float:
    """About how many operations a token takes forwards and backwards: 6 a weight, 4 where the base is not trained.

    DPO's reference adds a forward pass of 2. Attention itself is left out, as is recomputation: MFU counts useful work.
    """
    weights = sum(getattr(p, "ds_numel", p.numel()) for p in model.parameters())
    return float(weights * ((6 if job.settings.method == "full" else 4) + (2 if job.objective == "dpo" else 0)))


def trainer_class(objective: Objective) -> Any:
    """A subclass of TRL's trainer for an objective."""
    from trl import DPOTrainer, SFTTrainer

    class Watched:
        """Takes `rows` and `counts` out of each batch, looks at its loss before it is learned from, and measures."""

        meter: Meter
        args: Any
        data_collator: Any
        notes = NOTES
        packing_checked = False

        def get_batch_samples(self, *args: Any, **options: Any) -> Any:
            with self.meter.timed("data"):
                return super().get_batch_samples(*args, **options)  # type: ignore[misc]

        def compute_loss(
            self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
        ) -> Any:
            rows, counts = inputs.pop("rows"), inputs.pop("counts")
            slots = float(inputs["input_ids"].numel())
            if isinstance(self.data_collator, PackedRows) and model.training and not self.packing_checked:
                self.packing_checked = True
                check_packing(self, model, inputs, rows)
            with self.meter.timed("forward"):
                found = super().compute_loss(model, inputs, return_outputs, num_items_in_batch)  # type: ignore[misc]
                totals = check_finite(self, found[0] if return_outputs else found, rows, counts, slots)
            if model.training:
                self.meter.count(*totals)
            return found

        def training_step(self, *args: Any, **options: Any) -> Any:
            forward, start = self.meter.seconds.get("forward", 0.0), time.monotonic()
            loss = super().training_step(*args, **options)  # type: ignore[misc]
            took = time.monotonic() - start - (self.meter.seconds["forward"] - forward)
            self.meter.seconds["backward"] = self.meter.seconds.get("backward", 0.0) + took
            return loss

        def _save_checkpoint(self, *args: Any, **options: Any) -> Any:
            with self.meter.timed("save"):
                return super()._save_checkpoint(*args, **options)  # type: ignore[misc]

        def log(self, logs: dict[str, float], *args: Any, **options: Any) -> None:
            if "loss" in logs:
                logs |= self.meter.read(self.args.world_size)
            super().log(logs, *args, **options)  # type: ignore[misc]

    class Sft(Watched, PlainNll, SFTTrainer):  # type: ignore[misc]
        pass

    class Dpo(Watched, DPOTrainer):  # type: ignore[misc]
        def _prepare_dataset(self, dataset: Any, *_: Any) -> Any:
            return dataset

        def compute_ref_log_probs(self, model: Any, inputs: dict[str, Any]) -> Any:
            return super().compute_ref_log_probs(model, {k: v for k, v in inputs.items() if k not in NOTES})

    return Dpo if objective == "dpo" else Sft


def check_finite(trainer: Any, loss: Any, rows: Any, counts: Any, slots: float) -> list[float]:
    """Tokens, learned tokens and slots of all workers' batches.

    Raises `TrainingFailed` on every worker when the loss of any of them is no number; it names the batch's rows.
    """
    import torch
    from accelerate.utils import gather_object

    bad = not bool(torch.isfinite(loss.detach()))
    mine = torch.cat([counts.flatten(), counts.new_tensor([slots, float(bad)])])
    *totals, failed = trainer.accelerator.gather(mine).reshape(-1, 4).sum(0).tolist()
    if not failed:
        return list(totals)
    ids = [trainer.ids(row) for row in gather_object([int(row) for row in rows.flatten() if bad and row >= 0])]
    raise TrainingFailed(
        f"step {trainer.state.global_step + 1}: the loss is not a number, on a batch with the rows {', '.join(ids)}."
        " Nothing was learned from it and the last checkpoint is kept: lower train.trainer.learning_rate, set"
        " train.trainer.max_grad_norm, or look at these rows"
    )


def lora_config(settings: TrainConfig) -> Any:
    """The adapter's shape for PEFT."""
    from peft import LoraConfig

    lora = settings.lora
    modules = lora.target_modules if isinstance(lora.target_modules, str) else list(lora.target_modules)
    return LoraConfig(
        r=lora.r, lora_alpha=lora.alpha, lora_dropout=lora.dropout, target_modules=modules, task_type="CAUSAL_LM"
    )


def quantization(settings: TrainConfig) -> Any:
    """QLoRA's 4-bit base (arXiv 2305.14314: NF4, double quantisation), None for the other methods."""
    if settings.method != "qlora":
        return None
    if find_spec("bitsandbytes") is None:
        raise ConfigError("train.method: qlora needs the package bitsandbytes, which is not installed; or take lora")
    import torch
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
        # In a floating-point type ZeRO-3 can share the quantised weights out.
        bnb_4bit_quant_storage=torch.bfloat16,
    )
