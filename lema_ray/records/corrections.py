"""What correctors make of attempts, and what is dropped on the way. Part of `lema_ray.records`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from lema_ray.records.attempts import Verdict
from lema_ray.records.chat import Completion


@dataclass(frozen=True, slots=True)
class Correction:
    """A repaired mistake that passed every check. Made by recipes through `corrections`; read by `examples`.

    `wrong_step` is the 0-based index into `steps.split_steps(attempt.text)`, None where the task has no steps.
    `revision` is the corrected solution in full, from its first step to its answer. `fields` are the parts of the
    corrector's reply that the recipe trains on, by name. `checks` names the checks it passed. `strategy` is how it was
    corrected where a recipe has several ways, `reference` what the corrector was shown to go by.
    """

    id: str
    recipe: str
    attempt_id: str
    explanation: str
    revision: str
    wrong_step: int | None = None
    error_type: str | None = None
    fields: dict[str, str] = field(default_factory=dict)
    checks: tuple[str, ...] = ()
    model: str = ""
    requests: int = 1
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0
    strategy: str | None = None
    reference: str | None = None


@dataclass(frozen=True, slots=True)
class Analysis:
    """Where a mistake begins and of what kind it is. Made by `analysis`; read by recipes and the distribution report.

    `wrong_step` is the 0-based index into `steps.split_steps(attempt.text)`, `error_type` a code of the taxonomy or
    `other`, `label` what the corrector called it, `confidence` (0 to 1) how sure it says it is.
    """

    attempt_id: str
    wrong_step: int
    error_type: str
    label: str = ""
    explanation: str = ""
    confidence: float | None = None
    model: str = ""
    requests: int = 1
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0


@dataclass(frozen=True, slots=True)
class Judgement:
    """What was found of an attempt that its answer could not tell. Made by `judge` and recipes; read by the ledger.

    The corrector judges grades that are `unsure`, a student's rollouts judge solutions that have no end. The verdict
    itself, with its reason, is in the attempt's grade (and in those of attempts with the same text).
    """

    attempt_id: str
    verdict: Verdict
    reason: str = ""
    model: str = ""
    requests: int = 1
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0
    by: Literal["corrector", "student"] = "corrector"


@dataclass(frozen=True, slots=True)
class Dropped:
    """Something left the flow, with a reason code. Made by any stage; read by the funnel in the report.

    What a dropped reply cost stays with it: the ledger is the sum over attempts, judgements, analyses, corrections
    and drops.
    """

    stage: str
    id: str
    reason: str
    detail: str = ""
    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0

    @classmethod
    def of(cls, stage: str, id: str, reason: str, reply: Completion) -> Dropped:
        """A reply that could not be used, with its text and what it cost."""
        return cls(stage, id, reason, reply.text, 1, reply.prompt_tokens, reply.completion_tokens, reply.cost)


@dataclass(frozen=True, slots=True)
class RecipeSpend:
    """What one recipe asked one model for about a question. Made by `corrections`; read by the table of methods.

    It is the ledger's sums seen from the recipe, so it is never added to them.
    """

    recipe: str
    by: Literal["corrector", "student"]
    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0
