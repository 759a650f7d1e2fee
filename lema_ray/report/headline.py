"""The one sentence of what a run showed. Read at the top of the report and printed by the CLI when a run ends."""

from __future__ import annotations

from collections.abc import Sequence

from lema_ray.evaluation.scores import Comparison, Score
from lema_ray.report.formats import p_value, percent, points


def main_comparison(scores: Sequence[Score], comparisons: Sequence[Comparison]) -> Comparison | None:
    """The comparison that the headline is about, fixed by the order of config and never by which came out best.

    In the first way of asking: the first two trained models, or the base and the only trained one.
    """
    if not scores:
        return None
    asked = [c for c in comparisons if c.sampling == scores[0].sampling]
    trained = [c for c in asked if c.baseline != scores[0].model]
    return next(iter([*trained, *asked]), None)


def headline(scores: Sequence[Score], comparisons: Sequence[Comparison]) -> str:
    """What was measured, in one sentence."""
    return ": ".join(part for part in claim_and_evidence(scores, comparisons) if part) + "."


def claim_and_evidence(scores: Sequence[Score], comparisons: Sequence[Comparison]) -> tuple[str, str]:
    """The sentence in its two halves. It claims a gain or a loss only when p is below 0.05."""
    main = main_comparison(scores, comparisons)
    if main is None:
        return _without_comparison(scores)
    rate = {s.model: s.pass_at_1 for s in scores if s.sampling == main.sampling}
    change = "more" if main.difference > 0 else "less"
    claim = f"No difference was shown between {main.model} and {main.baseline}"
    if main.significant:
        claim = f"{main.model} solved {points(abs(main.difference))} {change} than {main.baseline}"
    interval = f"{points(main.low, sign=True, unit='')} to {points(main.high, sign=True, unit='')}"
    return claim, (
        f"{percent(rate[main.model])} against {percent(rate[main.baseline])} of {main.questions:,} held-out questions "
        f"({main.sampling}), a difference of {points(main.difference, sign=True)}, "
        f"95 % interval {interval}, p {p_value(main.p_value if main.p_holm is None else main.p_holm)}"
    )


def _without_comparison(scores: Sequence[Score]) -> tuple[str, str]:
    if not scores:
        return "Nothing has been evaluated yet", ""
    one = scores[0]
    interval = f"95 % interval {percent(one.low)} to {percent(one.high)}"
    return (
        f"{one.model} solved {percent(one.pass_at_1)} of {one.questions:,} held-out questions",
        f"{one.sampling}, {interval}",
    )
