"""Graded answers of the models to scores with intervals, and paired comparisons between models.

`on_ray.evaluate` fills `evaluations/<model>--<sampling>.parquet`, then calls `score_run`; `report` and the CLI read
`evaluations/scores.json`. Texts are dropped as rows stream by: what is kept is two numbers a question.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

from lema_ray import arrow, statistics
from lema_ray.records import GradedAttempt, GradedQuestion
from lema_ray.runs import RunFolder


@dataclass(frozen=True, slots=True)
class LevelScore:
    """pass@1 on the questions of one level."""

    level: str
    questions: int
    pass_at_1: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Score:
    """How one model did in one way of asking. All shares are 0 to 1 of questions x samples; `low` to `high` is 95 %.

    An answer that is unsure, or never came, counts as not right. `pass_at` holds unbiased pass@k by k.
    """

    model: str
    sampling: str
    questions: int
    samples: int
    pass_at_1: float
    low: float
    high: float
    cut_off: float
    no_answer: float
    unsure: float
    mean_completion_tokens: float
    tokens: int
    seconds: float = 0.0
    pass_at: dict[str, float] = field(default_factory=dict)
    levels: tuple[LevelScore, ...] = ()


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two models on the same questions. `difference` is model minus baseline; wins are questions it did better on."""

    baseline: str
    model: str
    sampling: str
    questions: int
    difference: float
    low: float
    high: float
    p_value: float
    wins: int
    losses: int
    test: str

    @property
    def significant(self) -> bool:
        """Whether chance alone is an unlikely reason (p below 0.05)."""
        return self.p_value < 0.05


@dataclass(slots=True)
class Tally:
    """Right attempts per question, and the sums over all answers of one model."""

    rights: dict[str, int] = field(default_factory=dict)
    levels: dict[str, str] = field(default_factory=dict)
    samples: int = 0
    answered: int = 0
    cut_off: int = 0
    no_answer: int = 0
    unsure: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0

    def add(self, graded: GradedQuestion) -> None:
        """Count one question."""
        if graded.question.id in self.rights:
            raise ValueError(f"question {graded.question.id} was answered twice in one evaluation; evaluate again")
        self.rights[graded.question.id] = len(graded.right)
        if graded.question.level is not None:
            self.levels[graded.question.id] = graded.question.level
        self.samples = max(self.samples, len(graded.attempts))
        for one in graded.attempts:
            self._add_attempt(one)

    def _add_attempt(self, one: GradedAttempt) -> None:
        self.answered += 1
        self.cut_off += one.attempt.finish_reason == "length"
        self.no_answer += one.grade.answer is None
        self.unsure += one.grade.verdict == "unsure"
        self.prompt_tokens += one.attempt.prompt_tokens
        self.completion_tokens += one.attempt.completion_tokens

    def rates(self, ids: Iterable[str] | None = None) -> list[float]:
        """Share of right samples per question, of the given questions or of all."""
        return [self.rights[i] / max(self.samples, 1) for i in (self.rights if ids is None else ids)]


def tally(rows: Iterable[GradedQuestion]) -> Tally:
    """Stream graded questions into counts. Raises `ValueError` when a question comes twice."""
    counts = Tally()
    for graded in rows:
        counts.add(graded)
    return counts


def score(model: str, sampling: str, rows: Iterable[GradedQuestion] | Tally, seconds: float = 0.0) -> Score:
    """The score of one model. Raises `ValueError` when there are no questions."""
    counts = rows if isinstance(rows, Tally) else tally(rows)
    if not counts.rights:
        raise ValueError(f"{model} ({sampling}): no graded questions to score")
    expected = max(len(counts.rights) * counts.samples, 1)
    missing = expected - counts.answered
    mean, low, high = _pass_at_1(list(counts.rights.values()), counts.samples)
    return Score(
        model=model,
        sampling=sampling,
        questions=len(counts.rights),
        samples=counts.samples,
        pass_at_1=mean,
        low=low,
        high=high,
        cut_off=counts.cut_off / expected,
        no_answer=(counts.no_answer + missing) / expected,
        unsure=counts.unsure / expected,
        mean_completion_tokens=counts.completion_tokens / max(counts.answered, 1),
        tokens=counts.prompt_tokens + counts.completion_tokens,
        seconds=seconds,
        pass_at=_pass_at(counts),
        levels=_by_level(counts),
    )


def _pass_at_1(rights: Sequence[int], samples: int) -> tuple[float, float, float]:
    if samples <= 1:
        interval = statistics.proportion_interval(sum(rights), len(rights))
    else:
        interval = statistics.mean_interval([right / samples for right in rights])
    return sum(rights) / (len(rights) * max(samples, 1)), *interval


def _pass_at(counts: Tally) -> dict[str, float]:
    powers = [k for k in (2, 4, 8, 16, 32, 64) if k <= counts.samples]
    return {
        str(k): sum(statistics.pass_at_k(counts.samples, c, k) for c in counts.rights.values()) / len(counts.rights)
        for k in powers
    }


def _by_level(counts: Tally) -> tuple[LevelScore, ...]:
    rights: dict[str, list[int]] = {}
    for question, level in counts.levels.items():
        rights.setdefault(level, []).append(counts.rights[question])
    return tuple(
        LevelScore(level, len(rights[level]), *_pass_at_1(rights[level], counts.samples)) for level in sorted(rights)
    )


def compare(
    baseline: str,
    model: str,
    sampling: str,
    baseline_rows: Iterable[GradedQuestion] | Tally,
    model_rows: Iterable[GradedQuestion] | Tally,
) -> Comparison:
    """Two models paired by question id: exact McNemar for one sample each, sign flips of the rates for more.

    Raises `ValueError` when the two did not answer the same questions.
    """
    before = baseline_rows if isinstance(baseline_rows, Tally) else tally(baseline_rows)
    after = model_rows if isinstance(model_rows, Tally) else tally(model_rows)
    _require_same_questions(baseline, before, model, after)
    old, new = before.rates(), after.rates(before.rights)
    wins = sum(b > a for a, b in zip(old, new, strict=True))
    losses = sum(b < a for a, b in zip(old, new, strict=True))
    single = max(before.samples, after.samples) <= 1
    p_value = statistics.mcnemar_p(wins, losses) if single else statistics.sign_flip_p(old, new)
    low, high = statistics.difference_interval(old, new)
    difference = (sum(new) - sum(old)) / len(old)
    test = "McNemar, exact" if single else "paired sign flips"
    return Comparison(baseline, model, sampling, len(old), difference, low, high, p_value, wins, losses, test)


def _require_same_questions(baseline: str, before: Tally, model: str, after: Tally) -> None:
    only = before.rights.keys() ^ after.rights.keys()
    if only or not before.rights:
        raise ValueError(
            f"{baseline} and {model} cannot be paired: {len(before.rights)} and {len(after.rights)} questions, "
            f"{len(only)} of them not in both; evaluate both on the same questions"
        )


def evaluation_files(run: RunFolder) -> dict[tuple[str, str], str]:
    """The Parquet file, or directory of parts, by (model, sampling); as a name below `evaluations/`."""
    tops = {name.split("/")[0] for name in run.files("evaluations", suffix=".parquet")}
    named = {top: top.removesuffix(".parquet").rpartition("--") for top in sorted(tops)}
    return {(model, sampling): top for top, (model, dashes, sampling) in named.items() if dashes}


def score_run(
    run: RunFolder,
    models: Sequence[str],
    samplings: Sequence[str],
    seconds: Mapping[tuple[str, str], float] | None = None,
) -> tuple[list[Score], list[Comparison]]:
    """Score every evaluation in the run folder, compare each model with those before it, and write `scores.json`."""
    files, took = evaluation_files(run), seconds or {}
    scores: list[Score] = []
    comparisons: list[Comparison] = []
    for sampling in samplings:
        tallies = {
            m: tally(run.read_records(GradedQuestion, "evaluations", files[m, sampling]))
            for m in models
            if (m, sampling) in files
        }
        scores += [score(m, sampling, t, took.get((m, sampling), 0.0)) for m, t in tallies.items()]
        comparisons += [compare(a, b, sampling, tallies[a], tallies[b]) for a, b in combinations(tallies, 2)]
    write_scores(run, scores, comparisons)
    return scores, comparisons


def write_scores(run: RunFolder, scores: Sequence[Score], comparisons: Sequence[Comparison]) -> None:
    """Write `evaluations/scores.json`."""
    data = {"scores": list(map(dataclasses.asdict, scores)), "comparisons": list(map(dataclasses.asdict, comparisons))}
    run.write_json(data, "evaluations", "scores.json")


def read_scores(run: RunFolder) -> tuple[list[Score], list[Comparison]]:
    """What `write_scores` wrote; two empty lists while nothing was evaluated."""
    if not run.exists("evaluations", "scores.json"):
        return [], []
    data = run.read_json("evaluations", "scores.json")
    return (
        [arrow.from_row(Score, row) for row in data["scores"]],
        [arrow.from_row(Comparison, row) for row in data["comparisons"]],
    )
