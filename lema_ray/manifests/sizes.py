"""How many pods of which size a run's stages take, group by group. Used by `folder`.

One pod of `sampling` or `corrector` holds one engine, with as many GPUs as its tensor parallelism takes. A pod of
`training` has all the GPUs that a node can give to training, because workers on one node need no network.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from lema_ray.config import ActorsConfig, ConfigError, RunConfig
from lema_ray.on_ray.cluster import SPARE_CPUS, Pool, check_fit, stages
from lema_ray.on_ray.groups import Group

CPUS_PER_POD = 4
GB_PER_CPU = 4
CPUS_PER_GPU = 8
GB_PER_GPU = 64
HEAD = Group("head", 4, 0, 16, 1)


def groups_of(config: RunConfig, gpus_per_node: int = 8) -> list[Group]:
    """The groups `workers`, `sampling`, `training` and `corrector`, each as large as its largest stage asks for.

    Raises `ConfigError` when an engine takes more GPUs than a node has, or when the groups cannot hold the plan.
    """
    plan = stages(config)
    everyone = [pool for pools in plan.values() for pool in pools]
    for pool in everyone:
        if pool.actors.gpus > gpus_per_node:
            raise ConfigError(f"{pool.name}: an actor of {pool.actors.gpus:g} GPUs, and a node has {gpus_per_node}")
    sampling = max((_engines(pools, "student", "writer", "evaluation") for pools in plan.values()), key=_gpus)
    groups = [
        _workers(plan),
        _gpu_group("sampling", sampling),
        _training(plan["train"], gpus_per_node),
        _gpu_group("corrector", _engines(plan["collect"], "corrector")),
    ]
    for stage, pools in plan.items():
        check_fit(stage, pools, {}, [], [g for g in groups if g.max])
    return groups


def _workers(plan: Mapping[str, Sequence[Pool]]) -> Group:
    without = {stage: [p.actors for p in pools if not p.actors.gpus] for stage, pools in plan.items()}
    most = max(sum(a.max * a.cpus for a in actors) + SPARE_CPUS for actors in without.values())
    cpus = max([CPUS_PER_POD, *(math.ceil(a.cpus) for actors in without.values() for a in actors)])
    return Group("workers", cpus, 0, cpus * GB_PER_CPU, math.ceil(most / cpus))


def _engines(pools: Sequence[Pool], *roles: str) -> list[ActorsConfig]:
    return [p.actors for p in pools if p.actors.gpus and p.name.startswith(roles)]


def _gpus(actors: Sequence[ActorsConfig]) -> float:
    return sum(a.max * a.gpus for a in actors)


def _gpu_group(name: str, actors: Sequence[ActorsConfig]) -> Group:
    per_pod = max((math.ceil(a.gpus) for a in actors), default=1)
    # Actors share a pod's GPUs as Ray packs them: whole engines only.
    pods = sum(math.ceil(a.max / math.floor(per_pod / a.gpus)) for a in actors)
    cpus = max([CPUS_PER_GPU * per_pod, *(math.ceil(per_pod / a.gpus * a.cpus) for a in actors)])
    return Group(name, cpus, per_pod, GB_PER_GPU * per_pod, pods)


def _training(pools: Sequence[Pool], gpus_per_node: int) -> Group:
    workers = pools[0].actors
    wanted = math.ceil(workers.max * workers.gpus)
    per_pod = max(1, min(wanted, gpus_per_node))
    if not wanted:
        return _gpu_group("training", [])
    on_one = max(1, math.floor(per_pod / workers.gpus))
    cpus = max(CPUS_PER_GPU * per_pod, math.ceil(on_one * workers.cpus))
    return Group("training", cpus, per_pod, GB_PER_GPU * per_pod, math.ceil(workers.max / on_one))


def check_quota(groups: Sequence[Group], quota: Mapping[str, float]) -> None:
    """Raise `ConfigError` when the head and one pod of each group do not fit a namespace's quota together.

    `quota` has `cpu`, `memory` (GiB) and `gpu`; what is not in it is not limited.
    """
    # Groups of different stages are not alive together, so what must fit is the head, the workers and one GPU group.
    pods = [g for g in groups if g.max]
    on_gpus = [g for g in pods if g.gpus] or [Group("none", 0, 0, 0, 1)]
    for name, of in (("cpu", "cpus"), ("memory", "memory_gb"), ("gpu", "gpus")):
        always = sum(getattr(g, of) for g in (HEAD, *pods) if not g.gpus)
        least = always + max(getattr(g, of) for g in on_gpus)
        if least > quota.get(name, math.inf):
            raise ConfigError(
                f"the namespace's quota of {quota[name]:g} {name} is too small: the head, a worker and the largest"
                f" GPU pod take {least:g}; pods would never start. Raise the quota, or lower the config's actors."
            )
