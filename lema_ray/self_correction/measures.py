"""How a model corrects itself: the trace of one solution, and measures over many that say whether doubting helps.

`trace` follows a solution from its first answer over its doubts to its last. `measure` counts, for the attempts of any
model: right first and right in the end, how often it doubts, what doubting mends and what it breaks, how often doubt is
justified, and what it costs. Called by evaluation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, fields

from lema_ray.grading import grade
from lema_ray.records import Attempt, Draft, GradedAttempt, GradedQuestion, Question, Trace, Verdict
from lema_ray.self_correction.answers import answer_of, first_answer, tokens_after
from lema_ray.self_correction.doubts import find_doubts
from lema_ray.statistics import proportion_interval
from lema_ray.steps import split_steps, step_span

Before = Callable[[GradedQuestion, Attempt, Trace], Verdict]
"""A judge of what stands before the first doubt: was it right so far?"""


def trace(attempt: Attempt, question: Question) -> Trace:
    """How one solution came to its answer: as the policy that made it noted, else by the doubts in its text."""
    if attempt.trace is not None:
        return attempt.trace
    doubts, final = tuple(find_doubts(attempt.text)), answer_of(attempt.text, question)
    return Trace(
        policy="off",
        first_answer=first_answer(attempt.text, doubts, question) if doubts else final,
        final_answer=final,
        drafts=(Draft(attempt.text, "draft", final, attempt.finish_reason),),
        doubts=doubts,
        requests=1,
        prompt_tokens=attempt.prompt_tokens,
        completion_tokens=attempt.completion_tokens,
        extra_tokens=tokens_after(doubts, attempt.text, attempt.completion_tokens),
        stop_reason="doubted" if doubts else "no_doubt",
    )


def stated_before(graded: GradedQuestion, attempt: Attempt, traced: Trace) -> Verdict:
    """The judge that any data allow: the answer stated before the first doubt, `unsure` when none was.

    A first draft that somebody else doubted is whole, and is graded as it is.
    """
    question, text = graded.question, traced.before
    if traced.doubts[0].kind != "judged":
        if traced.first_answer is None:
            return "unsure"
        text = f"The answer is {traced.first_answer}"
    return grade(text, question.reference, task=question.task, choices=question.choices).verdict


def analysed_before(graded: GradedQuestion, attempt: Attempt, traced: Trace) -> Verdict:
    """The judge for analysed rows: the first wrong step lies before the first doubt, or it does not."""
    found = next((a for a in graded.analyses if a.attempt_id == attempt.id), None)
    if found is None or not traced.doubts:
        return stated_before(graded, attempt, traced)
    start, _ = step_span(split_steps(attempt.text), found.wrong_step)
    return "wrong" if start < len(traced.before) else "right"


@dataclass(slots=True)
class SelfCorrection:
    """Counts over attempts, cut-off ones included. Rates are 0 to 1, None where there is nothing to divide by."""

    attempts: int = 0
    right: int = 0
    first_right: int = 0
    first_known: int = 0
    doubting: int = 0
    doubts: int = 0
    wrong_to_right: int = 0
    right_to_wrong: int = 0
    doubted_wrong: int = 0
    doubted_right: int = 0
    wrong_before: int = 0
    extra_tokens: int = 0
    requests: int = 0
    groups: dict[str, SelfCorrection] = field(default_factory=dict)

    def add_question(self, graded: GradedQuestion, judge: Before = stated_before) -> None:
        """Count all attempts at one question."""
        for one in graded.attempts:
            traced = trace(one.attempt, graded.question)
            before = judge(graded, one.attempt, traced) if traced.doubts else one.grade.verdict
            for counts in (self, *(self.groups.setdefault(name, SelfCorrection()) for name in _groups(graded, one))):
                counts.add(one, traced, before)

    def add(self, one: GradedAttempt, traced: Trace, before: Verdict) -> None:
        """Count one attempt, `before` says how it stood before its first doubt (at its end without one)."""
        right, doubts = one.grade.verdict == "right", bool(traced.doubts)
        self.attempts += 1
        self.right += right
        self.doubting += doubts
        self.doubts += len(traced.doubts)
        self.first_known += before != "unsure"
        self.first_right += before == "right"
        self.wrong_before += before == "wrong"
        self.doubted_wrong += doubts and before == "wrong"
        self.doubted_right += doubts and before == "right"
        self.wrong_to_right += doubts and before == "wrong" and right
        self.right_to_wrong += doubts and before == "right" and not right
        self.extra_tokens += traced.extra_tokens
        self.requests += traced.requests

    def sum(self, other: SelfCorrection) -> None:
        """Count what another model's answers came to as well."""
        for name in (f.name for f in fields(self) if f.name != "groups"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for group, counts in other.groups.items():
            self.groups.setdefault(group, SelfCorrection()).sum(counts)

    def rates(self) -> dict[str, float | None]:
        """All measures as shares. `harm` is right->wrong among answers doubted though right, `mended` the reverse."""
        judged = self.doubted_wrong + self.doubted_right
        return {
            "first_accuracy": _over(self.first_right, self.first_known),
            "final_accuracy": _over(self.right, self.attempts),
            "doubt_rate": _over(self.doubting, self.attempts),
            "doubts_per_attempt": _over(self.doubts, self.attempts),
            "wrong_to_right": _over(self.wrong_to_right, self.attempts),
            "right_to_wrong": _over(self.right_to_wrong, self.attempts),
            "mended": _over(self.wrong_to_right, self.doubted_wrong),
            "harm": _over(self.right_to_wrong, self.doubted_right),
            "doubt_precision": _over(self.doubted_wrong, judged),
            "doubt_recall": _over(self.doubted_wrong, self.wrong_before),
            "judged_doubts": _over(judged, self.doubting),
            "extra_tokens": _over(self.extra_tokens, self.attempts),
            "requests": _over(self.requests, self.attempts),
        }

    def intervals(self) -> dict[str, tuple[float, float]]:
        """95 % intervals of the shares that are proportions of attempts."""
        counts = {
            "first_accuracy": (self.first_right, self.first_known),
            "final_accuracy": (self.right, self.attempts),
            "doubt_rate": (self.doubting, self.attempts),
            "wrong_to_right": (self.wrong_to_right, self.attempts),
            "right_to_wrong": (self.right_to_wrong, self.attempts),
            "doubt_precision": (self.doubted_wrong, self.doubted_wrong + self.doubted_right),
        }
        return {name: proportion_interval(*pair) for name, pair in counts.items() if pair[1]}


def _over(part: float, whole: int) -> float | None:
    return part / whole if whole else None


def measure(rows: Iterable[GradedQuestion], judge: Before = stated_before) -> SelfCorrection:
    """The measures over all attempts of some rows; `groups` has them by `level <level>` and `type <error type>`.

    Error types are those of the rows' analyses, which are of wrong attempts: what doubting broke is seen there.
    """
    total = SelfCorrection()
    for graded in rows:
        total.add_question(graded, judge)
    return total


def _groups(graded: GradedQuestion, one: GradedAttempt) -> Iterator[str]:
    if graded.question.level is not None:
        yield f"level {graded.question.level}"
    yield from (f"type {a.error_type}" for a in graded.analyses if a.attempt_id == one.attempt.id)
