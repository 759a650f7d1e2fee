"""`lema compare RUN RUN ...`: the models of several runs side by side, paired question by question.

Reads `evaluations/` of the run folders; writes one self-contained page and two CSV files. Memory holds a dozen bytes a
question and model, and a bounded sample of questions to show.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import combinations
from typing import Any

from lema_ray.config import ConfigError
from lema_ray.evaluation.scores import Comparison, Score, adjusted, compare, evaluation_files, score
from lema_ray.evaluation.tally import Tally, hashed, tally
from lema_ray.records import GradedQuestion
from lema_ray.report.formats import p_value, percent, points
from lema_ray.report.gallery import Reservoir
from lema_ray.runs import RunFolder

SHOWN = 25
_NESTED = ("levels", "types", "pass_at", "majority_at", "by_mode")


@dataclass(frozen=True, slots=True)
class Examined:
    """One model of one run, asked in one way."""

    name: str
    sampling: str
    run: RunFolder
    file: str
    counts: Tally

    def rows(self) -> Iterator[GradedQuestion]:
        """Its graded answers again, from the file."""
        return self.run.read_records(GradedQuestion, "evaluations", self.file)


@dataclass(frozen=True, slots=True)
class Changed:
    """A question on which a model did better or worse than the baseline, with its first answer there."""

    question: str
    reference: str
    answer: str | None
    before: float
    after: float


@dataclass(frozen=True, slots=True)
class RunComparison:
    """Everything `lema compare` found. `unpaired` says which pairs were not asked the same questions, and why not."""

    scores: tuple[Score, ...]
    comparisons: tuple[Comparison, ...]
    changes: dict[tuple[str, str, str], dict[str, list[Changed]]]
    unpaired: tuple[str, ...]


def compare_runs(folders: Sequence[str]) -> RunComparison:
    """Score every evaluation of the runs and compare all pairs that were asked the same way.

    Raises `ConfigError` for a folder without evaluations.
    """
    examined = [one for number, folder in enumerate(folders) for one in _examined(folder, folders, number)]
    pairs = [(a, b) for a, b in combinations(examined, 2) if a.sampling == b.sampling]
    found: list[tuple[Comparison, Examined, Examined]] = []
    unpaired = []
    for a, b in pairs:
        try:
            found.append((compare(a.name, b.name, a.sampling, a.counts, b.counts), a, b))
        except ValueError as error:
            unpaired.append(str(error))
    comparisons = adjusted([comparison for comparison, _, _ in found])
    changes = {(a.name, b.name, a.sampling): changed_questions(a, b) for _, a, b in found}
    scores = tuple(score(one.name, one.sampling, one.counts) for one in examined)
    return RunComparison(scores, tuple(comparisons), changes, tuple(unpaired))


def _examined(folder: str, folders: Sequence[str], number: int) -> Iterator[Examined]:
    run = RunFolder(folder)
    files = evaluation_files(run)
    if not files:
        raise ConfigError(f"{run.root}: no evaluations to compare; run `lema evaluate` first")
    label = run.root.rstrip("/").rsplit("/", 1)[-1]
    same = [other for other in folders if RunFolder(other).root.rstrip("/").rsplit("/", 1)[-1] == label]
    prefix = "" if len(folders) == 1 else f"{label}{f'#{number + 1}' if len(same) > 1 else ''}/"
    for (model, sampling), file in files.items():
        counts = tally(run.read_records(GradedQuestion, "evaluations", file))
        yield Examined(f"{prefix}{model}", sampling, run, file, counts)


def changed_questions(baseline: Examined, model: Examined) -> dict[str, list[Changed]]:
    """Up to `SHOWN` questions that got better, and that got worse, drawn evenly."""
    import numpy

    ids, before = baseline.counts.by_question()
    kept = {name: Reservoir[Changed](SHOWN, f"{baseline.name} {model.name} {name}") for name in ("better", "worse")}
    for graded in model.rows():
        old = float(before[numpy.searchsorted(ids, numpy.uint64(hashed(graded.question.id)))])
        new = len(graded.right) / max(model.counts.samples, 1)
        if old == new:
            continue
        answer = graded.attempts[0].grade.answer if graded.attempts else None
        changed = Changed(graded.question.text[:2_000], graded.question.reference, answer, old, new)
        kept["better" if new > old else "worse"].offer(changed)
    return {name: reservoir.items for name, reservoir in kept.items()}


def lines(found: RunComparison) -> Iterator[str]:
    """The table and the comparisons as `lema compare` prints them."""
    width = max(len(s.model) for s in found.scores)
    for s in found.scores:
        extra = "".join(f", maj@{k} {percent(v)}" for k, v in s.majority_at.items())
        extra += "".join(f", pass@{k} {percent(v)}" for k, v in s.pass_at.items())
        interval = f"{percent(s.low)} to {percent(s.high)}"
        cost = f"{s.mean_completion_tokens:.0f} tokens, cut off {percent(s.cut_off)}, no answer {percent(s.no_answer)}"
        rate = f"{percent(s.pass_at_1)} ({interval}){extra}"
        yield f"{s.model:{width}}  {s.sampling}  {rate}; {s.questions:,} questions, {cost}"
    for c in found.comparisons:
        said = "more than chance" if c.significant else "no more than chance"
        yield (
            f"{c.model} against {c.baseline}, {c.sampling}: {points(c.difference, sign=True)} "
            f"({points(c.low, sign=True, unit='')} to {points(c.high, sign=True, unit='')}), {c.wins} better, "
            f"{c.losses} worse, p {p_value(c.p_value)}, with Holm {p_value(c.p_holm or 0.0)}: {said}"
        )
    yield from (f"not paired: {reason}" for reason in found.unpaired)


def write_comparison(found: RunComparison, out: str) -> str:
    """`compare.html`, `scores.csv` and `comparisons.csv` in a folder; returns where the page is."""
    folder = RunFolder(out)
    folder.write_text(_csv(found.scores), "scores.csv")
    folder.write_text(_csv(found.comparisons), "comparisons.csv")
    folder.write_text(_page(found), "compare.html")
    return folder.uri("compare.html")


def _csv(records: Sequence[Any]) -> str:
    stream = io.StringIO()
    if records:
        names = [f.name for f in fields(records[0]) if f.name not in _NESTED]
        writer = csv.writer(stream)
        writer.writerow(names)
        writer.writerows([getattr(record, name) for name in names] for record in records)
    return stream.getvalue()


def _page(found: RunComparison) -> str:
    from importlib import resources

    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(loader=PackageLoader("lema_ray", "report"), autoescape=True, undefined=StrictUndefined)
    environment.filters.update(percent=percent, points=points, p=p_value)
    style = resources.files("lema_ray").joinpath("report", "page.css").read_text()
    return environment.get_template("compare.html").render(found=found, style=Markup(style))
