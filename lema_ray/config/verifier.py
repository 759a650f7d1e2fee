"""`verifier`: the classifier that says how likely a solution is wrong."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from lema_ray.config.section import Section


class VerifierConfig(Section):
    """`lema train-verifier`. SCORE's values (arXiv 2404.17140) are the defaults; small models want a larger rate."""

    base: str | None = Field(None, description="model to start from; default: the one that arms are trained from")
    method: Literal["full", "lora"] = "lora"
    lora_rank: int = Field(32, gt=0)
    lora_alpha: int = Field(64, gt=0)
    learning_rate: float = Field(1e-5, gt=0)
    batch_size: int = Field(32, gt=0)
    epochs: float = Field(3, gt=0)
    max_length: int | None = Field(None, gt=0, description="tokens; default: the model's context length")
    dev_fraction: float = Field(0.15, gt=0, lt=0.5, description="of questions, to choose the threshold on")
    test_fraction: float = Field(0.15, gt=0, lt=0.5, description="of questions, to report on")
    cpus: float = Field(1.0, gt=0)
    gpus: float = Field(0.0, ge=0)
