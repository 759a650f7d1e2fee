"""Which kinds of mistakes were made, by model, data set and level: counted from a stream, shown as comparable tables.

`lema analyze` fills it from analysed rows and writes `analyzed/distribution.json` and `.md`. Only counters are held.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from lema_ray.mistakes.taxonomy import OTHER, Taxonomy
from lema_ray.records import Analysis, Dropped, GradedQuestion
from lema_ray.statistics import proportion_interval

UNKNOWN_KEPT = 1000
"""Distinct unknown labels that are remembered; a corrector that makes up more is only counted."""
SIDES = ("model", "source", "level")


@dataclass(frozen=True, slots=True)
class TypeShare:
    """One type in one group: its share of the group's mistakes with a 95 % interval, and its rate per attempt."""

    group: str
    error_type: str
    count: int
    mistakes: int
    share: float
    low: float
    high: float
    rate: float


@dataclass(slots=True)
class Distribution:
    """Counts by (model, source, level): attempts, mistakes by type and by wrong step, and what failed and why."""

    attempts: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    types: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)
    steps: Counter[tuple[str, int]] = field(default_factory=Counter)
    failed: Counter[tuple[str, str]] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)
    requests: int = 0
    tokens: int = 0
    cost: float = 0.0

    def add(self, graded: GradedQuestion) -> None:
        """Count one analysed question; mistakes that a model made on purpose are not its own and are left out."""
        question, made_by = graded.question, {}
        for attempt in (g.attempt for g in graded.attempts if g.attempt.origin in ("sampled", "imported")):
            made_by[attempt.id] = attempt.model
            self.attempts[attempt.model, question.source, question.level or "-"] += 1
        for one in (a for a in graded.analyses if a.attempt_id in made_by):
            model = made_by[one.attempt_id]
            self.types[model, question.source, question.level or "-", one.error_type] += 1
            self.steps[model, one.wrong_step + 1] += 1
            if one.error_type == OTHER and (one.label in self.unknown or len(self.unknown) < UNKNOWN_KEPT):
                self.unknown[one.label or "(none given)"] += 1
        dropped = [d for d in graded.drops if d.stage == "analysis"]
        replies: list[Analysis | Dropped] = [*graded.analyses, *dropped]
        for paid in replies:
            self.requests += paid.requests
            self.tokens += paid.prompt_tokens + paid.completion_tokens
            self.cost += paid.cost
        for drop in (d for d in dropped if d.id in made_by):
            self.failed[made_by[drop.id], drop.reason] += 1

    def shares(self, side: str, codes: Sequence[str]) -> Iterator[TypeShare]:
        """Every type's share in every group of one side: `model`, `source` or `level`."""
        at = SIDES.index(side)
        counts, mistakes, attempts = Counter[tuple[str, str]](), Counter[str](), Counter[str]()
        for key, n in self.types.items():
            counts[key[at], key[3]] += n
            mistakes[key[at]] += n
        for place, n in self.attempts.items():
            attempts[place[at]] += n
        for group in sorted(mistakes):
            for code in (*codes, OTHER):
                n, total = counts[group, code], mistakes[group]
                yield TypeShare(group, code, n, total, n / total, *proportion_interval(n, total), n / attempts[group])

    def differ_p(self, one: str, other: str) -> float | None:
        """The chance that two models with the same mix of types differ as much as these (chi-squared); None without."""
        from scipy.stats import chi2_contingency

        codes = sorted({key[3] for key in self.types if key[0] in (one, other)})
        table = [[sum(n for k, n in self.types.items() if (k[0], k[3]) == (m, c)) for c in codes] for m in (one, other)]
        return float(chi2_contingency(table).pvalue) if len(codes) > 1 and all(map(sum, table)) else None


def count_distribution(rows: Iterable[GradedQuestion]) -> Distribution:
    """The distribution of some analysed rows."""
    counted = Distribution()
    for row in rows:
        counted.add(row)
    return counted


def to_json(counted: Distribution, taxonomy: Taxonomy) -> dict[str, Any]:
    """Everything, for files and other programs."""
    codes = [t.code for t in taxonomy.types]
    shares = {side: [asdict(share) for share in counted.shares(side, codes)] for side in SIDES}
    models = sorted({key[0] for key in counted.types})
    pairs = [(a, b) for i, a in enumerate(models) for b in models[i + 1 :]]
    return {
        "taxonomy": taxonomy.name,
        "spent": {"requests": counted.requests, "tokens": counted.tokens, "cost": counted.cost},
        "shares": shares,
        "wrong_steps": [{"model": m, "step": s, "count": n} for (m, s), n in sorted(counted.steps.items())],
        "failed": [{"model": m, "reason": r, "count": n} for (m, r), n in sorted(counted.failed.items())],
        "unknown_labels": dict(counted.unknown.most_common()),
        "differ_p": [{"models": pair, "p_value": counted.differ_p(*pair)} for pair in pairs],
    }


def to_markdown(data: dict[str, Any]) -> str:
    """`to_json`'s data as tables: a row per type, a column per group."""
    spent = data["spent"]
    paid = f"{spent['requests']:,} requests, {spent['tokens']:,} tokens, cost {spent['cost']:,.2f}."
    parts = [f"# Error types ({data['taxonomy']})", f"Share of mistakes (count; per 100 attempts). {paid}"]
    parts += [f"## By {side}\n\n{_table(shares)}" for side, shares in data["shares"].items() if shares]
    if data["differ_p"]:
        lines = [f"- {a} and {b}: p = {_p(one['p_value'])}" for one in data["differ_p"] for a, b in [one["models"]]]
        parts.append("## Do the models differ? (chi-squared)\n\n" + "\n".join(lines))
    if data["failed"]:
        lines = [f"- {one['model']}: {one['reason']} {one['count']}" for one in data["failed"]]
        parts.append("## Not analysed\n\n" + "\n".join(lines))
    if data["unknown_labels"]:
        lines = [f"- {label}: {n}" for label, n in data["unknown_labels"].items()]
        parts.append("## Labels that the taxonomy does not know (other)\n\n" + "\n".join(lines))
    return "\n\n".join(parts) + "\n"


def _p(value: float | None) -> str:
    return "too little to tell" if value is None else f"{value:.3g}"


def _table(shares: Sequence[dict[str, Any]]) -> str:
    groups = sorted({s["group"] for s in shares})
    cells = {(s["error_type"], s["group"]): s for s in shares}
    codes = list(dict.fromkeys(s["error_type"] for s in shares))
    lines = [" | ".join(["| type", *groups]) + " |", "|---" * (len(groups) + 1) + "|"]
    for code in codes:
        row = [cells[code, group] for group in groups]
        texts = (f"{s['share']:.1%} ({s['count']}; {100 * s['rate']:.1f})" for s in row)
        lines.append(" | ".join([f"| {code}", *texts]) + " |")
    totals = (str(next(s["mistakes"] for s in shares if s["group"] == group)) for group in groups)
    return "\n".join([*lines, " | ".join(["| mistakes", *totals]) + " |"])
