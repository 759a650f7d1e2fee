"""Tries the mixes of an arm: trains each for a moment, asks each the held-out questions, and names the best.

Called by `on_ray.flow` for `lema build --variants`. The trial is a run of its own (`examples.variants`), so it goes on
after a kill and has a report.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from lema_ray.evaluation.scores import Comparison, Score, read_scores
from lema_ray.examples.variants import asked_variants, trial_config, write_held_out

if TYPE_CHECKING:
    from lema_ray.on_ray.flow import Flow


def try_variants(flow: Flow) -> dict[str, Any]:
    """What the data card says of the mixes: `best`, each one's score, and the best against the next."""
    arm, told = asked_variants(flow.config)
    trial = type(flow)(trial_config(flow.config))
    print(f"trying {', '.join(told.mixes)} for {arm}, in {trial.run.root}", flush=True)
    trial.stage("questions", lambda: write_held_out(flow.config, flow.run, trial.run))
    trial.stage("collect", lambda: {"taken_from": flow.run.root})
    trial.build(collected=flow.run)
    trial.train()
    trial.evaluate()
    trial.report()
    found = best_mix(list(told.mixes), *read_scores(trial.run))
    print(f"{arm} is built as {found['best']}: examples/card.md has how sure that is", flush=True)
    return {"arm": arm, "steps": told.steps, "trial": trial.run.root, **found}


def best_mix(mixes: Sequence[str], scores: Sequence[Score], comparisons: Sequence[Comparison]) -> dict[str, Any]:
    """The mix with the highest score in the first way of asking, of equal ones the first; and how sure that is."""
    asked = [s for s in scores if s.model in mixes and s.sampling == scores[0].sampling]
    best, second = sorted(asked, key=lambda s: -s.pass_at_1)[:2]
    pair = next(
        c for c in comparisons if {c.baseline, c.model} == {best.model, second.model} and c.sampling == best.sampling
    )
    kept = ("questions", "samples", "seeds", "pass_at_1", "low", "high")
    return {
        "best": best.model,
        "asked": best.sampling,
        "scores": {s.model: {name: asdict(s)[name] for name in kept} for s in asked},
        "against_next": _turned(pair, best.model),
    }


def _turned(pair: Comparison, best: str) -> dict[str, Any]:
    """The comparison with the best one in front."""
    other = pair.baseline if pair.model == best else pair.model
    sign = 1 if pair.model == best else -1
    low, high = sorted((sign * pair.low, sign * pair.high))
    return {"mix": other, "difference": sign * pair.difference, "low": low, "high": high, "p_value": pair.p_value}
