"""Graded answers of the models to scores with intervals, and paired comparisons between models.

`on_ray.evaluate` fills `evaluations/<model>--<sampling>.parquet`, then calls `score_run`; `report` and the CLI read
`evaluations/scores.json`. Texts are dropped as rows stream by: what is kept of a question is a dozen bytes (`tally`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any

from lema_ray import arrow, statistics
from lema_ray.evaluation.tally import Groups, Tally, pooled, powers, tally
from lema_ray.records import GradedQuestion, GradingMode
from lema_ray.runs import RunFolder


@dataclass(frozen=True, slots=True)
class LevelScore:
    """pass@1 on the questions of one level, or of one type."""

    level: str
    questions: int
    pass_at_1: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Score:
    """How one model did in one way of asking. All shares are 0 to 1 of questions x samples; `low` to `high` is 95 %.

    An answer that is unsure, or never came, counts as not right. `pass_at` holds unbiased pass@k by k, `majority_at`
    maj@k, and `by_mode` pass@1 as published graders would have it. `policy` is how the model corrected itself, and
    `self_correction` has the rates of `self_correction.SelfCorrection` that can be told from the answers alone.
    With several training `seeds` all is the mean over their models, `samples` are those of all of them, and the
    interval is one over questions (`methods` has those over seeds).
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
    majority_at: dict[str, float] = field(default_factory=dict)
    by_mode: dict[str, float] = field(default_factory=dict)
    levels: tuple[LevelScore, ...] = ()
    types: tuple[LevelScore, ...] = ()
    self_correction: dict[str, float] = field(default_factory=dict)
    policy: str = "off"
    seeds: int = 1

    @property
    def tokens_per_answer(self) -> float:
        """New tokens and those of all prompts."""
        return self.tokens / max(self.questions * self.samples, 1)


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
    p_holm: float | None = None

    @property
    def significant(self) -> bool:
        """Whether chance alone is an unlikely reason: p below 0.05, adjusted for the other comparisons made with it."""
        return (self.p_value if self.p_holm is None else self.p_holm) < 0.05


def score(model: str, sampling: str, rows: Iterable[GradedQuestion] | Tally, seconds: float = 0.0) -> Score:
    """The score of one model. Raises `ValueError` when there are no questions."""
    counts = rows if isinstance(rows, Tally) else tally(rows)
    if not counts.ids:
        raise ValueError(f"{model} ({sampling}): no graded questions to score")
    questions = len(counts.ids)
    expected = max(questions * counts.samples, 1)
    mean, low, high = _pass_at_1(counts.counts(), counts.samples)
    return Score(
        model=model,
        sampling=sampling,
        questions=questions,
        samples=counts.samples,
        pass_at_1=mean,
        low=low,
        high=high,
        cut_off=counts.cut_off / expected,
        no_answer=(counts.no_answer + expected - counts.answered) / expected,
        unsure=counts.unsure / expected,
        mean_completion_tokens=counts.completion_tokens / max(counts.answered, 1),
        tokens=counts.prompt_tokens + counts.completion_tokens,
        seconds=seconds,
        pass_at=_pass_at(counts),
        majority_at={str(k): total / questions for k, total in sorted(counts.majorities.items())},
        by_mode={mode: right / expected for mode, right in counts.right_by_mode.items()},
        levels=_by_group(counts, counts.levels),
        types=_by_group(counts, counts.types),
        self_correction={name: rate for name, rate in counts.correcting.rates().items() if rate is not None},
        policy=counts.policy,
    )


def _pass_at_1(counts: Sequence[int], samples: int) -> tuple[float, float, float]:
    """Mean and interval from the questions that had 0, 1, ... `samples` right attempts."""
    questions, right = sum(counts), sum(c * n for c, n in enumerate(counts))
    if samples <= 1:
        interval = statistics.proportion_interval(right, questions)
    else:
        rates = [c / samples for c, n in enumerate(counts) for _ in range(n)]
        interval = statistics.mean_interval(rates)
    return right / (questions * max(samples, 1)), *interval


def _pass_at(counts: Tally) -> dict[str, float]:
    found = counts.counts()
    return {
        str(k): sum(n * statistics.pass_at_k(counts.samples, c, k) for c, n in enumerate(found)) / len(counts.ids)
        for k in powers(counts.samples)
    }


def _by_group(counts: Tally, groups: Groups) -> tuple[LevelScore, ...]:
    found = {name: counts.counts(groups, number) for name, number in groups.names.items()}
    return tuple(LevelScore(name, sum(found[name]), *_pass_at_1(found[name], counts.samples)) for name in sorted(found))


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
    old, new = _paired(baseline, before, model, after)
    wins, losses = int((new > old).sum()), int((new < old).sum())
    single = max(before.samples, after.samples) <= 1
    p_value = statistics.mcnemar_p(wins, losses) if single else statistics.sign_flip_p(old, new)
    low, high = statistics.difference_interval(old, new)
    difference = float((new - old).mean())
    test = "McNemar, exact" if single else "paired sign flips"
    return Comparison(baseline, model, sampling, len(old), difference, low, high, p_value, wins, losses, test)


def _paired(baseline: str, before: Tally, model: str, after: Tally) -> tuple[Any, Any]:
    """The rates of both models in one order of the questions, as numpy arrays."""
    import numpy

    (ids, old), (others, new) = before.by_question(), after.by_question()
    only = len(numpy.setxor1d(ids, others))
    if only or len(ids) == 0:
        raise ValueError(
            f"{baseline} and {model} cannot be paired: {len(ids)} and {len(others)} questions, "
            f"{only} of them not in both; evaluate both on the same questions"
        )
    return old, new


POLICIES = "policies"
"""What comparisons between policies have in the place of a way of asking."""


def compare_policies(tallies: Mapping[tuple[str, str], Tally]) -> Iterator[Comparison]:
    """Every policy of a model against its first plain way of asking with as many samples, where there is one."""
    plain: dict[tuple[str, int], tuple[str, Tally]] = {}
    for (model, name), counts in tallies.items():
        if counts.policy == "off":
            plain.setdefault((model, counts.samples), (name, counts))
    for (model, name), counts in tallies.items():
        if counts.policy != "off" and (model, counts.samples) in plain:
            asked, before = plain[model, counts.samples]
            yield compare(f"{model} {asked}", f"{model} {name}", POLICIES, before, counts)


def adjusted(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """The same comparisons with Holm's p-values over all of them, since each is a chance to be fooled."""
    found = statistics.holm([c.p_value for c in comparisons])
    return [replace(c, p_holm=p) for c, p in zip(comparisons, found, strict=True)]


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
    modes: Sequence[GradingMode] = (),
    arms: Mapping[str, str] | None = None,
) -> tuple[list[Score], list[Comparison]]:
    """Score every evaluation in the run folder, compare each model with those before it, and write `scores.json`.

    `arms` has the arm of each trained model: those of one arm (its seeds) are scored and compared as one.
    """
    files, took = evaluation_files(run), seconds or {}
    scores: list[Score] = []
    singles: list[Score] = []
    comparisons: list[Comparison] = []
    every: dict[tuple[str, str], Tally] = {}
    for sampling in samplings:
        tallies = {
            m: tally(run.read_records(GradedQuestion, "evaluations", files[m, sampling]), modes)
            for m in models
            if (m, sampling) in files
        }
        each = [score(m, sampling, t, took.get((m, sampling), 0.0)) for m, t in tallies.items()]
        singles += each
        tallies, together = by_arm(tallies, each, arms or {})
        scores += together
        comparisons += adjusted([compare(a, b, sampling, tallies[a], tallies[b]) for a, b in combinations(tallies, 2)])
        every |= {(m, sampling): t for m, t in tallies.items()}
    comparisons += adjusted(list(compare_policies(every)))
    write_scores(run, scores, comparisons, singles if len(singles) > len(scores) else ())
    return scores, comparisons


def by_arm(
    tallies: Mapping[str, Tally], scores: Sequence[Score], arms: Mapping[str, str]
) -> tuple[dict[str, Tally], list[Score]]:
    """The models of each arm as one: their answers together, and their mean score under the arm's name."""
    names: dict[str, list[str]] = {}
    for model in tallies:
        names.setdefault(arms.get(model, model), []).append(model)
    merged = {arm: pooled([tallies[m] for m in models]) for arm, models in names.items()}
    own = {s.model: s for s in scores}
    return merged, [_mean_score(arm, merged[arm], [own[m] for m in models]) for arm, models in names.items()]


def _mean_score(arm: str, answers: Tally, each: Sequence[Score]) -> Score:
    if len(each) == 1:
        return replace(each[0], model=arm)
    # Draws of different models are no k tries of one model, so pass@k and maj@k are means over the models.
    return replace(
        score(arm, each[0].sampling, answers, sum(s.seconds for s in each)),
        pass_at=_means([s.pass_at for s in each]),
        majority_at=_means([s.majority_at for s in each]),
        seeds=len(each),
    )


def _means(rates: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {k: sum(rate[k] for rate in rates) / len(rates) for k in rates[0]}


def write_scores(
    run: RunFolder, scores: Sequence[Score], comparisons: Sequence[Comparison], models: Sequence[Score] = ()
) -> None:
    """Write `evaluations/scores.json`; `models` are the single models' where those of several seeds are one score."""
    parts: dict[str, Sequence[Any]] = {"scores": scores, "comparisons": comparisons, "models": models}
    data = {name: [dataclasses.asdict(one) for one in part] for name, part in parts.items()}
    run.write_json(data, "evaluations", "scores.json")


def read_model_scores(run: RunFolder) -> list[Score]:
    """The score of every single model, each seed's under its own name."""
    data = run.read_json("evaluations", "scores.json")
    return [arrow.from_row(Score, row) for row in data.get("models") or data["scores"]]


def read_scores(run: RunFolder) -> tuple[list[Score], list[Comparison]]:
    """What `write_scores` wrote; two empty lists while nothing was evaluated."""
    if not run.exists("evaluations", "scores.json"):
        return [], []
    data = run.read_json("evaluations", "scores.json")
    return (
        [arrow.from_row(Score, row) for row in data["scores"]],
        [arrow.from_row(Comparison, row) for row in data["comparisons"]],
    )
