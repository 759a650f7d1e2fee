"""One worker's loop body: TRL's SFT or DPO trainer with a DeepSpeed config, on rows tokenized and labelled already.

`on_ray.trainer` runs `train_model` in every worker of a group, once per arm; nothing here knows of Ray.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Iterable, Sequence
from typing import Any

from lema_ray.config import Objective, TrainConfig
from lema_ray.training.best import best_note, keep_best, take_best
from lema_ray.training.deepspeed_files import load_deepspeed
from lema_ray.training.elastic import mend_optimizer
from lema_ray.training.first_step import TrainingFailed, save_test
from lema_ray.training.masking import end_of_turn
from lema_ray.training.saved_model import check_adapter, check_saved_model, finish_model
from lema_ray.training.settings import build_trainer_arguments, start_worker
from lema_ray.training.together import workers_there
from lema_ray.training.trainers import open_trainer

HISTORY = (
    "step", "epoch", "loss", "eval_loss", "learning_rate", "grad_norm", "learned_tokens_per_second",
    "tokens_per_second", "memory_gb", "workers", "mfu",
)  # fmt: skip
"""What of the trainer's log goes into loss.json, beside the shares of time and, for DPO, the rewards."""

__all__ = [
    "TrainJob",
    "TrainingFailed",
    "build_trainer_arguments",
    "check_saved_model",
    "load_deepspeed",
    "start_worker",
    "train_model",
]


@dataclasses.dataclass(frozen=True, slots=True)
class TrainJob:
    """One model to train: `rows` and `dev_rows` are `datasets.Dataset`s as `tokenized.open_rows` makes them.

    `output` gets the model, `checkpoints` the trainer's checkpoints, both local directories; `best`, which may be in a
    bucket, the weights with the lowest dev loss. `deepspeed` is the JSON, `resume_from` a checkpoint of the same job.
    `card` holds the arm's name, its counts, and what its rows come from.
    """

    base: str
    rows: Any
    dev_rows: Any
    output: str
    checkpoints: str
    best: str
    objective: Objective
    settings: TrainConfig
    deepspeed: dict[str, Any] | None
    seed: int
    resume_from: str | None
    card: dict[str, Any]

    @property
    def on_gpu(self) -> bool:
        """Whether workers hold GPUs."""
        return self.settings.gpus_per_worker > 0


def train_model(job: TrainJob, callbacks: Iterable[Any] = ()) -> dict[str, Any]:
    """Train one model and save it; every worker of the group calls this with the same rows.

    Returns `history` (a list of {step, loss, eval_loss?, ...}, see `HISTORY`), `steps`, `seconds`, `final_loss` and
    `padding_share`. The first worker has then saved and checked the model. Raises `ConfigError`, `ModelError` or
    `TrainingFailed`.
    """
    start = time.monotonic()
    trainer = open_trainer(job, build_trainer_arguments(job), _tokenizer(job.base), callbacks)
    _check_parallel(trainer, job)
    _watch(trainer, job)
    trainer.train(resume_from_checkpoint=job.resume_from)
    history = _history(trainer.state.log_history)
    seconds = round(time.monotonic() - start, 2)
    counts = {
        "steps": trainer.state.global_step,
        "seconds": seconds,
        "final_loss": _final_loss(history, trainer.state),
        "padding_share": round(trainer.meter.padding, 4),
    }
    _save(trainer, job, counts)
    _forget_accelerator()
    return {"history": history, **counts}


def _watch(trainer: Any, job: TrainJob) -> None:
    deepspeed = job.deepspeed or {}
    zero3 = deepspeed.get("zero_optimization", {}).get("stage") == 3
    if zero3 and not job.resume_from:
        adapter = job.settings.method != "full"
        trainer.add_callback(save_test(trainer, job.base, f"{job.checkpoints}/test", adapter))
    if zero3 and job.resume_from and deepspeed.get("checkpoint", {}).get("load_universal"):
        trainer.add_callback(mend_optimizer(job.resume_from))
    if job.settings.best == "dev":
        trainer.add_callback(keep_best(trainer, job.best, f"{job.checkpoints}/best"))


def _check_parallel(trainer: Any, job: TrainJob) -> None:
    """Neither accelerate nor transformers says so when they leave DeepSpeed or the other workers out."""
    if job.deepspeed and not trainer.is_deepspeed_enabled:
        raise TrainingFailed("DeepSpeed was left out of the training; is ACCELERATE_USE_CPU set in the environment?")
    if trainer.args.world_size != (there := workers_there()):
        raise TrainingFailed(f"{trainer.args.world_size} of {there} workers take part in the training")


def _tokenizer(base: str) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(base)


def _history(log: Iterable[dict[str, Any]]) -> list[dict[str, float]]:
    return [
        {name: value for name, value in entry.items() if name in HISTORY or name.startswith(("time_", "rewards/"))}
        for entry in log
        if "loss" in entry or "eval_loss" in entry
    ]


def _final_loss(history: Sequence[dict[str, float]], state: Any) -> float:
    """The last loss logged; of a training too short to log one, its mean."""
    losses = [entry["loss"] for entry in history if "loss" in entry] or [state.log_history[-1]["train_loss"]]
    if not all(math.isfinite(loss) for loss in losses):
        raise TrainingFailed("the loss is no longer a number: lower train.trainer.learning_rate, or look at the rows")
    return losses[-1]


def _save(trainer: Any, job: TrainJob, counts: dict[str, Any]) -> None:
    merged = job.settings.method != "full" and job.settings.lora.merge
    folder = f"{job.output}/adapter" if merged else job.output
    best = best_note(job.best) if job.settings.best == "dev" else None
    if best is None:
        # Every worker takes part: under ZeRO-3 each holds a share of the weights.
        trainer.save_model(folder)
    if not trainer.is_world_process_zero():
        return
    if best is not None:
        take_best(job.best, folder)
        counts |= {"best_step": best["step"], "best_dev_loss": round(best["eval_loss"], 4)}
    if merged:
        _merge(job)
    kind = "adapter" if job.settings.leaves_adapter else "merged" if merged else "full"
    card = {"base": job.base, "kind": kind, "objective": job.objective, **job.card}
    card |= {"counts": job.card["counts"] | counts, "settings": job.settings.trainer, "seed": job.seed}
    finish_model(job.output, end_of_turn(_tokenizer(job.base)), card)
    if job.settings.leaves_adapter:
        check_adapter(job.output)
    else:
        check_saved_model(job.output, job.base)


def _merge(job: TrainJob) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM
    from transformers.integrations.deepspeed import unset_hf_deepspeed_config

    # Otherwise ZeRO-3 would partition this copy too, among workers that are not loading it.
    unset_hf_deepspeed_config()
    base = AutoModelForCausalLM.from_pretrained(job.base, dtype="auto" if job.on_gpu else "float32")
    merged = PeftModel.from_pretrained(base, f"{job.output}/adapter").merge_and_unload()
    merged.save_pretrained(job.output)
    _tokenizer(job.base).save_pretrained(job.output)


def _forget_accelerator() -> None:
    """Let the next model of this process be set up anew: accelerate and transformers keep the last one's DeepSpeed."""
    import gc

    import torch
    from accelerate.state import AcceleratorState, GradientState
    from transformers.integrations.deepspeed import unset_hf_deepspeed_config

    unset_hf_deepspeed_config()
    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()
    gc.collect()
    torch.cuda.empty_cache()
