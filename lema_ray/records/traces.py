"""How an answer came to be: drafts, doubts, revisions. Part of `lema_ray.records`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lema_ray.records.chat import FinishReason

DraftKind = Literal["draft", "revision", "vote"]
DoubtedBy = Literal["model", "critic", "verifier", "votes"]
StopReason = Literal[
    "no_doubt",
    "doubted",
    "revised",
    "agreed",
    "below_threshold",
    "max_revisions",
    "max_tokens",
    "timeout",
    "unreadable_reply",
    "refused",
]


@dataclass(frozen=True, slots=True)
class Doubt:
    """A place of a draft that is doubted: characters `start` to `stop` of its text. Part of a `Trace`.

    `said`: the draft says so in words. `shown`: it takes something back without a word, such as a result it had before.
    `judged`: somebody else says so. `step` is the 0-based index into `steps.split_steps(draft.text)`, if one is named.
    """

    start: int
    stop: int
    kind: Literal["said", "shown", "judged"]
    draft: int = 0
    step: int | None = None
    reason: str = ""
    by: DoubtedBy = "model"


@dataclass(frozen=True, slots=True)
class Draft:
    """One text on the way to an answer, with the answer that it ends in. Part of a `Trace`."""

    text: str
    kind: DraftKind = "draft"
    answer: str | None = None
    finish_reason: FinishReason = "stop"


@dataclass(frozen=True, slots=True)
class Trace:
    """How a solution came to its answer. Made by `self_correction`; read by evaluation, the server and the page.

    `first_answer` is what the first draft ends in; where a draft doubts itself, what it states before its first doubt,
    None when it states nothing. `extra_tokens` (in and out) are those beyond the first draft, and the share of it that
    follows its own first doubt. `refusal` says why a model refused a request, if one did.
    """

    policy: str
    first_answer: str | None
    final_answer: str | None
    drafts: tuple[Draft, ...] = ()
    doubts: tuple[Doubt, ...] = ()
    final_draft: int = 0
    revisions: int = 0
    probability_wrong: float | None = None
    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    extra_tokens: int = 0
    cost: float = 0.0
    seconds: float = 0.0
    stop_reason: StopReason = "no_doubt"
    refusal: str | None = None

    @property
    def text(self) -> str:
        """The solution that is the answer."""
        return self.drafts[self.final_draft].text if self.drafts else ""

    @property
    def finish_reason(self) -> FinishReason:
        """How the solution that is the answer ended."""
        return self.drafts[self.final_draft].finish_reason if self.drafts else "stop"

    @property
    def before(self) -> str:
        """What stands before the first doubt: the beginning of a draft that doubts itself, else all of the first."""
        if not self.drafts:
            return ""
        own = self.doubts and self.doubts[0].kind != "judged"
        return self.drafts[0].text[: self.doubts[0].start if own else None]
