"""What a model learns from: targets as spans with and without loss. Part of `lema_ray.records`."""

from __future__ import annotations

from dataclasses import dataclass

from lema_ray.records.chat import Message


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of a training target; tokens wholly inside spans with `learn` carry the loss."""

    text: str
    learn: bool = True


UNFINISHED = Span("", learn=False)
"""As a target's last span: the answer goes on after it, so its end of turn is not learned."""


@dataclass(frozen=True, slots=True)
class TrainingExample:
    """One row to learn from. Made by recipes and `examples`; read by `masking` and training.

    `rejected` is set for a preference pair only. `kind` is `cot` or the recipe's name.
    """

    id: str
    prompt: tuple[Message, ...]
    target: tuple[Span, ...]
    kind: str
    question_id: str
    attempt_id: str | None = None
    correction_id: str | None = None
    rejected: tuple[Span, ...] | None = None

    @property
    def target_text(self) -> str:
        """The whole target, learned or not."""
        return "".join(span.text for span in self.target)
