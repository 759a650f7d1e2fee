"""The audit of a run's grades, before money is spent on its mistakes: how often, how surely and how doubtfully.

`lema audit RUN` and the report stream every `GradedQuestion` into one `Audit`. It holds counters, a bounded sample for
the second comparison and a bounded list of suspects, whatever the size of the run.
"""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction

from lema_ray.config import ConfigError
from lema_ray.grading import PUBLISHED, GradingPool
from lema_ray.grading.numbers import read_number
from lema_ray.grading.pool import second_comparison
from lema_ray.grading.spelling import normalise
from lema_ray.grading.votes import contradicting_majority
from lema_ray.records import Attempt, GradedAttempt, GradedQuestion, Question, Verdict
from lema_ray.runs import RunFolder

SUSPECTS, SAMPLE, LISTED = 60, 400, 1_000
FAILURES = ("timeout", "crash", "error", "refused")
WHY = {
    "another_reader": "right by another grader",
    "reference_doubtful": "most attempts agree on another answer than the reference",
    "rounding": "equal after rounding",
    "unit": "off by a factor that units have",
}
_WEIGHT = {"another_reader": 4, "rounding": 3, "reference_doubtful": 2, "unit": 1}
_FACTORS = tuple(Fraction(f) for f in (12, 60, 100, 1000, 3600))
_READERS = ("lema_math", "qwen_math")
"""Graders that take an explicit answer; the last number of a text says too little to doubt a verdict."""
Second = Callable[[str, str], Verdict]


@dataclass(frozen=True, slots=True)
class Suspect:
    """A verdict `wrong` that may be none, and why."""

    question: Question
    attempt: Attempt
    answer: str | None
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DoubtfulReference:
    """A question whose reference most attempts contradict."""

    question: Question
    answer: str
    votes: int
    attempts: int


@dataclass(slots=True)
class Audit:
    """Counters over all graded attempts of a run. Rates are shares of `attempts`."""

    seed: int = 0
    questions: int = 0
    attempts: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    cut_off: int = 0
    no_answer: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    unsure_rules: Counter[str] = field(default_factory=Counter)
    judged: Counter[str] = field(default_factory=Counter)
    extractions: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    agreement: Counter[tuple[str, str]] = field(default_factory=Counter)
    doubtful: list[DoubtfulReference] = field(default_factory=list)
    doubtful_references: int = 0
    _suspects: list[tuple[int, int, int, Suspect]] = field(default_factory=list)
    _sample: dict[str, list[tuple[str, str]]] = field(default_factory=lambda: {"right": [], "wrong": []})
    _random: random.Random = field(default_factory=lambda: random.Random(0))

    def add(self, graded: GradedQuestion) -> None:
        """Count one question with its attempts."""
        self.questions += 1
        majority = contradicting_majority(graded)
        if majority is not None:
            self.doubtful_references += 1
            if len(self.doubtful) < LISTED:
                self.doubtful.append(DoubtfulReference(graded.question, *majority))
        for one in graded.attempts:
            if one.attempt.by_recipe:
                continue  # wrong on purpose
            self._count(one)
            if one.grade.verdict in ("right", "wrong") and one.grade.answer is not None:
                self._offer(one.grade.verdict, (one.grade.answer, graded.question.reference))
            if one.grade.verdict == "wrong" and one.attempt.finish_reason != "length":
                self._suspect(graded.question, one, majority is not None)

    def _count(self, one: GradedAttempt) -> None:
        self.attempts += 1
        grade = one.grade
        self.verdicts[grade.verdict] += 1
        self.cut_off += one.attempt.finish_reason == "length"
        self.no_answer += grade.answer is None
        self.extractions[grade.rules[0] if grade.rules else "none"] += 1
        self.failures.update(rule for rule in grade.rules if rule in FAILURES)
        if "judge" in grade.rules:
            self.judged[grade.verdict] += 1
        if grade.verdict == "unsure" and grade.rules:
            self.unsure_rules[grade.rules[-1]] += 1

    def _offer(self, verdict: str, pair: tuple[str, str]) -> None:
        """Keep a uniform sample of distinct enough size for the second comparison."""
        kept, seen = self._sample[verdict], self.verdicts[verdict]
        if len(kept) < SAMPLE:
            kept.append(pair)
        elif (place := self._random.randrange(seen)) < SAMPLE:
            kept[place] = pair

    def _suspect(self, question: Question, one: GradedAttempt, doubtful: bool) -> None:
        reasons = tuple(suspicions(one.attempt.text, one.grade.answer, question))
        reasons += ("reference_doubtful",) if doubtful else ()
        if not reasons:
            return
        self.reasons.update(reasons)
        suspect = Suspect(question, one.attempt, one.grade.answer, reasons)
        weight = max(_WEIGHT[reason] for reason in reasons)
        entry = (weight, -len(one.attempt.text), -self.attempts, suspect)
        if len(self._suspects) < SUSPECTS:
            heapq.heappush(self._suspects, entry)
        else:
            heapq.heappushpop(self._suspects, entry)

    @property
    def suspects(self) -> list[Suspect]:
        """The most suspicious wrong verdicts, one a question, the most suspicious first."""
        ordered = sorted(self._suspects, key=lambda entry: entry[:3])
        return list(reversed({entry[-1].question.id: entry[-1] for entry in ordered}.values()))

    def rate(self, count: int) -> float:
        """A share of all attempts."""
        return count / self.attempts if self.attempts else 0.0

    def compare_again(self, second: Second) -> None:
        """Let a second comparison judge the sample; `agreement` then counts (first verdict, second verdict)."""
        self.agreement = Counter(
            (verdict, second(*pair)) for verdict, pairs in self._sample.items() for pair in dict.fromkeys(pairs)
        )

    @property
    def agreed(self) -> float | None:
        """Share of the sample on which both comparisons gave the same verdict, of those where both gave one."""
        both = sum(count for (_, second), count in self.agreement.items() if second != "unsure")
        same = sum(count for (first, second), count in self.agreement.items() if first == second)
        return same / both if both else None


def suspicions(text: str, answer: str | None, question: Question) -> Iterable[str]:
    """Why a verdict `wrong` may be none, by cheap looks only."""
    reference = question.reference
    if question.task != "choice" and any(PUBLISHED[m](text, reference).verdict == "right" for m in _READERS):
        yield "another_reader"
    said, wanted = read_number(normalise(answer or "")), read_number(normalise(reference))
    if said is None or wanted is None or not said.value or not wanted.value:
        return
    ratio = said.value / wanted.value
    if Fraction(99, 100) <= ratio <= Fraction(101, 100) and (said.places or wanted.places):
        yield "rounding"
    if any(ratio in (factor, 1 / factor) for factor in _FACTORS):
        yield "unit"


def audit_rows(rows: Iterable[GradedQuestion], second: Second | None = None, seed: int = 0) -> Audit:
    """Stream graded questions through an `Audit`; with `second`, compare a sample again."""
    audit = Audit(seed)
    for graded in rows:
        audit.add(graded)
    if second is not None:
        audit.compare_again(second)
    return audit


def audit_run(run: RunFolder, second: bool = True) -> Audit:
    """The audit of what a run has collected so far, or of its imported attempts, which are graded on the way.

    Raises `ConfigError` when there are no attempts yet.
    """
    if run.files("collected", suffix=".parquet"):
        rows = run.read_records(GradedQuestion, "collected")
    elif run.files("questions", "attempts", suffix=".parquet"):
        rows = _graded(run.read_records(GradedQuestion, "questions", "attempts"))
    else:
        raise ConfigError(f"{run.root}: nothing to audit yet; run `lema collect` first")
    return audit_rows(rows, second_comparison if second else None)


def _graded(rows: Iterable[GradedQuestion]) -> Iterator[GradedQuestion]:
    with GradingPool() as pool:
        for row in rows:
            grades = pool.grade_all([(one.attempt.text, row.question) for one in row.attempts])
            attempts = (replace(one, grade=grade) for one, grade in zip(row.attempts, grades, strict=True))
            yield replace(row, attempts=tuple(attempts))


def audit_lines(audit: Audit, show: int = 20) -> Iterable[str]:
    """The audit as `lema audit` prints it."""

    def share(count: int) -> str:
        return f"{count:,} ({audit.rate(count):.1%})"

    yield f"{audit.questions:,} questions, {audit.attempts:,} graded attempts"
    yield ", ".join(f"{verdict} {share(audit.verdicts[verdict])}" for verdict in ("right", "wrong", "unsure"))
    yield f"cut off {share(audit.cut_off)}, no answer {share(audit.no_answer)}"
    failed = ", ".join(f"{rule} {count:,}" for rule, count in audit.failures.most_common()) or "none"
    yield f"comparisons that failed or were refused: {failed}"
    if audit.unsure_rules:
        yield "unsure because of: " + ", ".join(f"{rule} {n:,}" for rule, n in audit.unsure_rules.most_common(8))
    if audit.judged:
        yield "unsure before the judge: " + ", ".join(f"{n:,} now {v}" for v, n in audit.judged.most_common())
    if audit.agreed is not None:
        sampled = sum(audit.agreement.values())
        yield f"second comparison of {sampled:,} sampled answers: {audit.agreed:.1%} agreement where it gave a verdict"
    yield f"references that most attempts contradict: {audit.doubtful_references:,}"
    for one in audit.doubtful[:show]:
        said = f"{one.votes} of {one.attempts} say {one.answer!r}"
        yield f"  {one.question.id}: reference {one.question.reference!r}, {said}"
    yield "suspicious wrong verdicts: " + (
        ", ".join(f"{WHY[reason]} {count:,}" for reason, count in audit.reasons.most_common()) or "none"
    )
    for suspect in audit.suspects[:show]:
        why = ", ".join(WHY[reason] for reason in suspect.reasons)
        yield f"  {suspect.attempt.id}: answer {suspect.answer!r}, reference {suspect.question.reference!r} ({why})"
