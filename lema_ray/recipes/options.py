"""Options that several recipes share."""

from __future__ import annotations

from pydantic import Field

from lema_ray.config import SamplingConfig, Section


class InjectOptions(Section):
    """Mistakes made on purpose (`injection`)."""

    inject: int = Field(3, ge=0, description="mistakes to make on purpose per question; 0: none")
    dataset_weight: float = Field(
        0.5, ge=0, le=1, description="weight of the data set's error types against the question's own"
    )
    prior: dict[str, float] | None = Field(
        None, description="shares of error types by code; default: the taxonomy's for the task"
    )
    inject_sampling: SamplingConfig = SamplingConfig(temperature=0.7, max_tokens=1024)
