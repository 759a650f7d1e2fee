"""What a recipe is: the protocol that every method file implements, and the outcome it returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from lema_ray.records import Correction, Dropped, GradedQuestion, TrainingExample

if TYPE_CHECKING:
    from lema_ray.engines import Generate


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a recipe made of one question: accepted corrections, and what was dropped with its reason and cost."""

    corrections: tuple[Correction, ...] = ()
    drops: tuple[Dropped, ...] = ()


class Recipe(Protocol):
    """One method. It is plain async Python against `Generate`; batching, limits, cost and Ray are not its business."""

    @property
    def name(self) -> str:
        """What configs and records call the method."""
        ...

    async def correct(self, graded: GradedQuestion, corrector: Generate, student: Generate | None) -> Outcome:
        """Correct the mistakes of one question."""
        ...

    def to_examples(self, graded: GradedQuestion, correction: Correction) -> list[TrainingExample]:
        """The rows that one accepted correction teaches."""
        ...
