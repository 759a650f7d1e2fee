"""Groups of nodes that a cluster may add by itself, and whether a plan fits them. Used by `cluster` and `manifests`.

A group that scales from zero is not among the resources that Ray lists, so a manifest tells its cluster's groups in an
environment variable, and the check before a stage counts what may still come.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass

VARIABLE = "LEMA_GROUPS"


@dataclass(frozen=True, slots=True)
class Group:
    """Up to `max` pods of `cpus`, `gpus` and `memory_gb` each."""

    name: str
    cpus: int
    gpus: int
    memory_gb: int
    max: int


def to_variable(groups: Sequence[Group]) -> str:
    """What a manifest puts in the environment."""
    return json.dumps([asdict(group) for group in groups if group.max])


def groups_to_come() -> list[Group]:
    """The groups that this cluster's manifest told of; none outside of Kubernetes."""
    return [Group(**group) for group in json.loads(os.environ.get(VARIABLE) or "[]")]


def total(groups: Sequence[Group]) -> dict[str, float]:
    """CPUs and GPUs of all groups at their largest, under Ray's names."""
    return {
        "CPU": float(sum(g.cpus * g.max for g in groups)),
        "GPU": float(sum(g.gpus * g.max for g in groups)),
    }
