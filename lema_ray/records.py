"""The nouns of the project: frozen, typed records that flow from questions to the report.

Everything that crosses a stage, a process or a file is one of these. Each says who makes it and who
reads it. `lema_ray.arrow` derives an explicit Arrow schema from them, so a column of `None` keeps its type.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Literal

Role = Literal["system", "user", "assistant"]
Verdict = Literal["right", "wrong", "unsure"]
Origin = Literal["sampled", "imported", "written", "injected", "edited", "branched", "resampled"]
Task = Literal["arithmetic", "math", "choice", "code"]
GradingMode = Literal["default", "gsm8k_strict", "gsm8k_flexible", "lema_gsm8k", "lema_math", "qwen_math"]
FinishReason = Literal["stop", "length", "imported"]
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


def content_id(*parts: str) -> str:
    """A stable 16-hex-digit id of some text: the same content has the same id in every run."""
    return hashlib.blake2b("\x1f".join(parts).encode(), digest_size=8).hexdigest()


@dataclass(frozen=True, slots=True)
class Message:
    """One chat message. Made by recipes and `attempts`; read by engines and `masking`."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to generate one completion. Made by config and recipes; read by engines. `max_tokens` counts new tokens.

    `json_schema` is a schema as JSON text; engines that cannot enforce one ignore it, so replies are parsed tolerantly.
    """

    temperature: float = 0.7
    top_p: float = 1.0
    max_tokens: int = 512
    stop: tuple[str, ...] = ()
    seed: int | None = None
    json_schema: str | None = None


@dataclass(frozen=True, slots=True)
class Completion:
    """What an engine gave back for one request. Made by engines; read by `attempts` and recipes.

    `model` is the name the engine reports. `cost` is money in the currency of the configured prices.
    """

    text: str
    finish_reason: FinishReason
    model: str
    prompt_tokens: int
    completion_tokens: int
    cost: float = 0.0


@dataclass(frozen=True, slots=True)
class Question:
    """A question with a checkable answer. Made by `questions`; read by every stage.

    `id` is the hash of the text and choices. `solution` is the source's own worked solution, if it has one.
    With task `code` the reference is a JSON list of tests, `["assert f(3) == 6", ...]`.
    `choices` are the texts behind A, B, C, ... and `reference` is then the letter. `type` is the subject, where a
    source has one. `reviewed` says that the reference was looked at, or computed, and is not to be doubted.
    """

    id: str
    text: str
    reference: str
    source: str
    task: Task = "arithmetic"
    solution: str | None = None
    level: str | None = None
    choices: tuple[str, ...] | None = None
    type: str | None = None
    reviewed: bool = False


@dataclass(frozen=True, slots=True)
class Attempt:
    """One solution text by one model. Made by `attempts`, imports and some recipes; read by grading and recipes.

    `origin` is `sampled` for a student's own, `written` for a solution that a stronger model wrote as training data,
    `injected` for a mistake that it made on purpose, `edited` for the beginning of a right solution up to a step that
    was made wrong, `branched` for one up to another step that a student took there and that proved wrong, `resampled`
    for a wrong solution that it came to when it went on anew from inside a right one. `trace` is there where a policy
    of self-correction was at work; the text is then that of its final draft, and the tokens are all that were spent.
    """

    id: str
    text: str
    model: str
    origin: Origin = "sampled"
    finish_reason: FinishReason = "stop"
    seed: int | None = None
    temperature: float | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0
    trace: Trace | None = None

    @property
    def by_recipe(self) -> bool:
        """Whether a recipe made it: it is training material, and no student's answer."""
        return self.origin in ("injected", "edited", "branched", "resampled")


@dataclass(frozen=True, slots=True)
class Grade:
    """The verdict on one attempt. Made by `grading`; read by everyone.

    `answer` is the final answer that was extracted, None when there is none. `rules` names, in order, the extraction
    rule and the comparison that decided. `reason` says why in words where the rules alone do not.
    """

    verdict: Verdict
    answer: str | None
    rules: tuple[str, ...] = ()
    reason: str | None = None


UNGRADED = Grade("unsure", None, ("ungraded",))
"""The place-holder between sampling and grading."""


@dataclass(frozen=True, slots=True)
class GradedAttempt:
    """An attempt and its grade."""

    attempt: Attempt
    grade: Grade


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


def _finished_by_student(attempt: Attempt) -> bool:
    return attempt.finish_reason != "length" and attempt.origin != "written" and not attempt.by_recipe


@dataclass(frozen=True, slots=True)
class GradedQuestion:
    """A question with all its graded attempts and everything that happened to it: the unit that flows.

    One row in, one row out, at every stage of collect. Stages fill in `attempts`, then `judgements`, `analyses`,
    `corrections` and `drops`; `spent` says which recipe asked for how much.
    """

    question: Question
    attempts: tuple[GradedAttempt, ...] = ()
    corrections: tuple[Correction, ...] = ()
    drops: tuple[Dropped, ...] = ()
    analyses: tuple[Analysis, ...] = ()
    judgements: tuple[Judgement, ...] = ()
    spent: tuple[RecipeSpend, ...] = ()

    @property
    def right(self) -> tuple[Attempt, ...]:
        """The attempts graded right, in sampling order."""
        return tuple(g.attempt for g in self.attempts if g.grade.verdict == "right")

    @property
    def wrong(self) -> tuple[Attempt, ...]:
        """The students' mistakes. A cut-off answer is not one (it never finished), nor is what others wrote."""
        return tuple(g.attempt for g in self.attempts if g.grade.verdict == "wrong" and _finished_by_student(g.attempt))

    @property
    def finished(self) -> tuple[GradedAttempt, ...]:
        """The students' own attempts that came to an end, with their grades."""
        return tuple(g for g in self.attempts if _finished_by_student(g.attempt))


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
