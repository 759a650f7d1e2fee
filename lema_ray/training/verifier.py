"""A verifier: a sequence classifier that says how likely a solution is wrong, trained on graded attempts.

SCORE (arXiv 2404.17140): class-weighted cross-entropy, an adapter on the student's base, a threshold chosen on held-out
questions. Called by `on_ray.verifier`; `self_correction.trained_verifier` loads what it leaves.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lema_ray.config import VerifierConfig
from lema_ray.models import check_model, context_length, resolve_model
from lema_ray.self_correction.trained_verifier import FILE, probabilities, verifier_text
from lema_ray.training.verifier_rows import Claim, Split
from lema_ray.training.verifier_scores import best_threshold, measured

LABELS = {0: "right", 1: "wrong"}
LONGEST = 2048
"""Tokens where neither the config nor the model sets a limit."""


@dataclass(frozen=True, slots=True)
class VerifierJob:
    """What is trained from what: `output` and `scratch` are local directories."""

    base: str
    claims: dict[Split, list[Claim]]
    settings: VerifierConfig
    output: str
    scratch: str
    seed: int


def train_verifier(job: VerifierJob) -> dict[str, Any]:
    """Train, choose the threshold, measure on the test part and save; returns what `verifier.json` holds.

    Raises `ModelError` for a base that cannot be used.
    """
    from transformers import AutoTokenizer, set_seed

    base = resolve_model(job.base)
    check_model(base)
    set_seed(job.seed)
    tokenizer = AutoTokenizer.from_pretrained(base)
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    tokenizer.truncation_side = "left"
    limit = job.settings.max_length or min(context_length(base) or LONGEST, LONGEST)
    model = _classifier(base, tokenizer, job.settings)
    seconds = _fit(model, tokenizer, job, limit)
    if job.settings.method == "lora":
        model = model.merge_and_unload()
    return _saved(model.eval(), tokenizer, job, limit, seconds)


def _classifier(base: str, tokenizer: Any, settings: VerifierConfig) -> Any:
    from transformers import AutoModelForSequenceClassification

    ids = {"id2label": LABELS, "label2id": {name: at for at, name in LABELS.items()}}
    model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=2, dtype="float32", **ids)
    model.config.pad_token_id = tokenizer.pad_token_id
    if settings.method == "full":
        return model
    from peft import LoraConfig, get_peft_model

    rank, alpha = settings.lora_rank, settings.lora_alpha
    return get_peft_model(model, LoraConfig("SEQ_CLS", r=rank, lora_alpha=alpha, target_modules="all-linear"))


def _fit(model: Any, tokenizer: Any, job: VerifierJob, limit: int) -> float:
    from datasets import Dataset
    from transformers import DataCollatorWithPadding, Trainer, TrainingArguments

    settings, claims = job.settings, job.claims["train"]
    texts = [verifier_text(claim.question, claim.solution) for claim in claims]
    rows = tokenizer(texts, truncation=True, max_length=limit)
    arguments = TrainingArguments(
        output_dir=job.scratch,
        learning_rate=settings.learning_rate,
        per_device_train_batch_size=settings.batch_size,
        num_train_epochs=settings.epochs,
        lr_scheduler_type="cosine",
        warmup_steps=0.05,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        logging_steps=20,
        seed=job.seed,
        use_cpu=settings.gpus == 0,
        dataloader_pin_memory=settings.gpus > 0,
    )
    trainer = Trainer(
        model=model,
        args=arguments,
        train_dataset=Dataset.from_dict({**_inputs(rows), "labels": [int(claim.wrong) for claim in claims]}),
        data_collator=DataCollatorWithPadding(tokenizer),
        compute_loss_func=_weighted(claims),
    )
    return float(trainer.train().metrics["train_runtime"])


def _inputs(rows: Any) -> dict[str, Any]:
    return {name: rows[name] for name in ("input_ids", "attention_mask")}


def _weighted(claims: Sequence[Claim]) -> Any:
    """Cross-entropy in which both classes weigh the same, however many of each there are."""
    import torch

    wrong = sum(claim.wrong for claim in claims)
    weights = torch.tensor([len(claims) / (2 * (len(claims) - wrong)), len(claims) / (2 * wrong)])

    def loss(outputs: Any, labels: Any, num_items_in_batch: Any = None) -> Any:
        logits = outputs["logits"].float()
        return torch.nn.functional.cross_entropy(logits, labels, weights.to(logits.device))

    return loss


def _saved(model: Any, tokenizer: Any, job: VerifierJob, limit: int, seconds: float) -> dict[str, Any]:
    held_out: tuple[Split, ...] = ("dev", "test")
    judged = {split: _judged(model, tokenizer, job.claims[split], limit) for split in held_out}
    threshold = best_threshold([claim.wrong for claim in job.claims["dev"]], judged["dev"])
    told: dict[str, Any] = {
        "base": job.base,
        "threshold": threshold,
        "max_length": limit,
        "trained_on": {"attempts": len(job.claims["train"]), "wrong": sum(c.wrong for c in job.claims["train"])},
        "seconds": round(seconds, 1),
    }
    for split, p in judged.items():
        claims = job.claims[split]
        told[split] = measured([c.wrong for c in claims], p, [c.question_id for c in claims], threshold)
    model.save_pretrained(job.output)
    tokenizer.save_pretrained(job.output)
    Path(job.output, FILE).write_text(json.dumps(told, indent=2) + "\n")
    return told


def _judged(model: Any, tokenizer: Any, claims: Sequence[Claim], limit: int) -> list[float]:
    texts = [verifier_text(claim.question, claim.solution) for claim in claims]
    return probabilities(model, tokenizer, texts, limit)
