"""Which candidates each arm takes: the same questions held out in all, and sizes matched by leaving rows out at random.

Called by `build`. It works on row numbers and sizes alone. LeMa's controls (section 4.1) are arms: LeMa-32K is an arm
with corrections matched to the CoT arm by rows; CoT-45K is CoT and revisions, matched to the LeMa arm.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from lema_ray.config import ArmConfig, RowSource, RunConfig
from lema_ray.examples.candidates import CANDIDATES
from lema_ray.examples.error import BuildError
from lema_ray.examples.units import group_of
from lema_ray.runs import RunFolder


@dataclass(frozen=True)
class Sizes:
    """One entry per candidate: its group, whether it is held out, its tokens, its tokens that carry loss."""

    group: Any
    dev: Any
    tokens: Any
    learned: Any


@dataclass(frozen=True)
class Chosen:
    """The candidates of one arm as masks over all of them."""

    train: Any
    dev: Any


def read_sizes(run: RunFolder) -> Sizes:
    """The sizes of all candidates, some 20 bytes a row."""
    table = pq.read_table(run.uri(*CANDIDATES), columns=["group", "dev", "tokens", "learned"])
    group = table["group"].combine_chunks().dictionary_encode()
    names = np.array(group.dictionary.to_pylist() or [""])
    columns = (table[name].to_numpy() for name in ("dev", "tokens", "learned"))
    return Sizes(names[group.indices.to_numpy()], *columns)


def building_order(arms: Mapping[str, ArmConfig]) -> list[str]:
    """Arm names, each after the arm it is matched to. Raises `BuildError` on unknown names and on cycles."""
    for name, arm in arms.items():
        if arm.match is not None and arm.match not in arms:
            raise BuildError(f"build.arms.{name}.match: there is no arm {arm.match!r}; there are {', '.join(arms)}")
    try:
        return list(TopologicalSorter({n: [a.match] if a.match else [] for n, a in arms.items()}).static_order())
    except CycleError as error:
        raise BuildError(f"build.arms: matched to one another in a circle: {' -> '.join(error.args[1])}") from None


def choose(config: RunConfig, sizes: Sizes) -> dict[str, Chosen]:
    """The rows of every arm. Raises `BuildError` when an arm has none of some kind, or cannot be matched."""
    # One order for all arms: the smaller set of CoT rows is part of the larger, which makes arms easier to compare.
    rank = np.random.default_rng(config.seed).random(len(sizes.group))
    chosen: dict[str, Chosen] = {}
    for name in building_order(config.build.arms):
        arm = config.build.arms[name]
        order, kept = _order(name, arm, sizes, rank)
        if arm.match is not None:
            weights = np.ones_like(sizes.learned) if arm.by == "rows" else sizes.learned
            order = _cut(name, arm, weights, order, kept, int(weights[chosen[arm.match].train].sum()))
        train = np.zeros(len(sizes.group), dtype=bool)
        train[order] = True
        wanted = np.isin(sizes.group, [group_of(source, arm) for source in arm.rows])
        chosen[name] = Chosen(train, wanted & sizes.dev)
    return {name: chosen[name] for name in config.build.arms}


def _order(name: str, arm: ArmConfig, sizes: Sizes, rank: Any) -> tuple[Any, int]:
    """The arm's rows in the order in which they are given up last to first, and how many may not be given up."""
    pools = {source: _pool(name, arm, source, sizes, rank) for source in arm.rows}
    if arm.corrections_share is not None:
        return _shared(name, pools, arm.corrections_share), 0
    filler: RowSource = "cot" if "cot" in pools else arm.rows[-1]
    fixed = [pool for source, pool in pools.items() if source != filler]
    return np.concatenate([*fixed, pools[filler]]), sum(map(len, fixed))


def _pool(name: str, arm: ArmConfig, source: RowSource, sizes: Sizes, rank: Any) -> Any:
    rows = np.flatnonzero((sizes.group == group_of(source, arm)) & ~sizes.dev)
    if len(rows) == 0:
        raise BuildError(
            f"build.arms.{name}: no {source} rows are left to train on. Look at examples/dropped.parquet"
            + (", and at build.cot: which solutions there are." if source == "cot" else ".")
        )
    return rows[np.argsort(rank[rows])]


def _shared(name: str, pools: Mapping[RowSource, Any], share: float) -> Any:
    """As many rows as have the share of corrections, ordered so that any beginning of them has it too."""
    if "corrections" not in pools or len(pools) < 2:
        raise BuildError(f"build.arms.{name}.corrections_share: rows must name corrections and something else")
    corrections = pools["corrections"]
    others = np.concatenate([pool for source, pool in pools.items() if source != "corrections"])
    at = np.concatenate([(np.arange(len(corrections)) + 0.5) / share, (np.arange(len(others)) + 0.5) / (1 - share)])
    end = min(len(corrections) / share, len(others) / (1 - share))
    order = np.argsort(at, kind="stable")
    return np.concatenate([corrections, others])[order[at[order] <= end]]


def _cut(name: str, arm: ArmConfig, weights: Any, order: Any, kept: int, target: int) -> Any:
    """The beginning of the order whose weight is nearest to the target."""
    sums, unit = np.cumsum(weights[order]), f"{arm.by}{' that carry loss' if arm.by == 'tokens' else ''}"
    slack = 0 if arm.by == "rows" else int(weights[order].max())
    if sums[-1] + slack < target:
        raise BuildError(
            f"build.arms.{name}: it has {sums[-1]} {unit}, fewer than the {target} of arm {arm.match!r} that it is to "
            f"match. Rows are never repeated: match {arm.match!r} to {name!r} instead, or raise build.cot_per_question."
        )
    if kept and sums[kept - 1] > target + slack:
        raise BuildError(
            f"build.arms.{name}: without any CoT it still has {sums[kept - 1]} {unit}, more than the {target} of arm "
            f"{arm.match!r} that it is to match. Raise build.cot_per_question, or set corrections_share: "
            "then corrections are left out too."
        )
    return order[: max(int(np.abs(sums - target).argmin()) + 1, kept)]
