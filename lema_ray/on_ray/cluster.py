"""Join or start the Ray cluster, and check the plan against it before anything runs.

A pool that cannot be scheduled makes Ray Data wait for ever without a word, so every stage asks first. Called by the
stages of `on_ray`, by `cli` and by `jobs/`.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ray

from lema_ray.config import ActorsConfig, ConfigError, RunConfig
from lema_ray.on_ray.groups import Group, groups_to_come, total
from lema_ray.on_ray.joining import join
from lema_ray.on_ray.logs import log_settings
from lema_ray.planning.student import asked_student

READING_CPUS = 0.25
"""CPUs of a task that only reads, slices or writes rows."""
READING_TASKS = 2
"""Tasks that read at once, and that write at once. Blocks are small and quickly copied; each process more takes seconds
to start, and at a quarter of a CPU Ray would start many."""
SPARE_CPUS = READING_TASKS * READING_CPUS


@dataclass(frozen=True, slots=True)
class Pool:
    """A pool of actors that a stage keeps alive."""

    name: str
    actors: ActorsConfig


def collect_pools(config: RunConfig) -> list[Pool]:
    """The pools of the collect pipeline, all of them alive at once."""
    pools = [Pool(f"student {s.engine.model}", s.actors) for s in config.students]
    pools += [Pool(f"writer {w.engine.model}", w.actors) for w in config.writers]
    student = asked_student(config)
    corrector = "corrector" if student is None else f"corrector with student {student.engine.model}"
    return [*pools, Pool("grading", config.grading.actors), Pool(corrector, correcting_actors(config))]


def correcting_actors(config: RunConfig) -> ActorsConfig:
    """The actors that run the recipes: the corrector's, and what the student takes in each where a recipe asks one."""
    own, student = config.corrector.actors, asked_student(config)
    if student is None or student.engine == config.corrector.engine:
        return own
    more = student.actors
    return own.model_copy(update={"cpus": own.cpus + more.cpus, "gpus": own.gpus + more.gpus})


def train_pools(config: RunConfig) -> list[Pool]:
    """The workers of one training run."""
    train = config.train
    actors = ActorsConfig(
        min=train.fewest_workers, max=train.workers, cpus=train.cpus_per_worker, gpus=train.gpus_per_worker
    )
    return [Pool("training", actors)]


def evaluate_pools(config: RunConfig) -> list[Pool]:
    """The engines of evaluation."""
    return [Pool("evaluation", config.evaluate.actors)]


def needed(pools: Sequence[Pool]) -> tuple[float, float]:
    """CPUs and GPUs without which the pools and the tasks between them cannot all be scheduled."""
    cpus = sum(p.actors.min * p.actors.cpus for p in pools) + SPARE_CPUS
    return cpus, sum(p.actors.min * p.actors.gpus for p in pools)


def connect(config: RunConfig) -> None:
    """Join the cluster that is named or already joined; otherwise start a local one as large as the plan needs."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if ray.is_initialized():
        return
    if config.ray.address or os.environ.get("RAY_ADDRESS"):
        address = config.ray.address or os.environ["RAY_ADDRESS"]
        join(address, log_to_driver=False, **log_settings(config.ray.logs))
        return
    _start_local(_local_cpus(config), log_settings(config.ray.logs))


def _start_local(cpus: int, logs: dict[str, Any], tries: int = 3) -> None:
    for attempt in range(tries):
        try:
            # "local" looks for no other: a cluster that somebody else started on this machine is not ours to join.
            ray.init("local", num_cpus=cpus, include_dashboard=False, log_to_driver=False, **logs)
            return
        except Exception as error:
            # Ray gives its node 30 s to start, which a machine that is busy with something else may need twice.
            if "timed out during startup" not in str(error) or attempt == tries - 1:
                raise
            ray.shutdown()


def _local_cpus(config: RunConfig) -> int:
    # Logical CPUs only book places: the pools share the real cores, and most of them wait on engines.
    largest = max(needed(pools)[0] for pools in stages(config).values())
    return config.ray.num_cpus or max(os.cpu_count() or 1, math.ceil(largest) + 2)


def check_plan(stage: str, pools: Sequence[Pool]) -> None:
    """Raise `ConfigError` in one line when the cluster, with all that it may add, cannot hold the stage's pools."""
    groups = groups_to_come()
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    check_fit(stage, pools, ray.cluster_resources(), nodes, groups)


def check_fit(
    stage: str,
    pools: Sequence[Pool],
    resources: Mapping[str, float],
    nodes: Sequence[Mapping[str, float]],
    groups: Sequence[Group],
) -> None:
    """`check_plan` against resources that are there, node by node and in sum, and groups that may come."""
    cpus, gpus = needed(pools)
    have = {kind: max(resources.get(kind, 0), total(groups)[kind]) for kind in ("CPU", "GPU")}
    missing = []
    if cpus > have["CPU"]:
        missing.append(f"{cpus:g} CPUs, the cluster has {have['CPU']:g}")
    if gpus > have["GPU"]:
        missing.append(f"{gpus:g} GPUs, the cluster has {have['GPU']:g}")
    if missing:
        wants = ", ".join(f"{p.name} {p.actors.min} x {p.actors.cpus:g} CPU {p.actors.gpus:g} GPU" for p in pools)
        raise ConfigError(
            f"{stage} needs {' and '.join(missing)} ({wants}, {SPARE_CPUS:g} CPU for reading and writing): it"
            " would wait for ever. Lower actors.min, cpus or gpus, or add nodes."
        )
    places = [*nodes, *({"CPU": g.cpus, "GPU": g.gpus} for g in groups)]
    for pool in pools:
        if not any(_holds(place, pool.actors) for place in places):
            raise ConfigError(
                f"{stage}: one actor of {pool.name} takes {pool.actors.cpus:g} CPUs and {pool.actors.gpus:g} GPUs, and"
                " no node is that large: it would wait for ever. Lower cpus or gpus, or add larger nodes."
            )


def _holds(place: Mapping[str, float], actors: ActorsConfig) -> bool:
    return place.get("CPU", 0) >= actors.cpus and place.get("GPU", 0) >= actors.gpus


def check_whole_plan(config: RunConfig) -> None:
    """`check_plan` for every stage of a run."""
    for stage, pools in stages(config).items():
        check_plan(stage, pools)


def stages(config: RunConfig) -> dict[str, list[Pool]]:
    """The pools of each stage that has some."""
    return {
        "collect": collect_pools(config),
        "train": train_pools(config),
        "evaluate": evaluate_pools(config),
    }


def gpus_are_free(stage: str, timeout_s: float = 60.0) -> None:
    """Wait until the GPUs of the stage before are given back; raise `ConfigError` naming how many are still held."""
    total = ray.cluster_resources().get("GPU", 0)
    deadline = time.monotonic() + timeout_s
    while (free := ray.available_resources().get("GPU", 0)) < total:
        if time.monotonic() > deadline:
            raise ConfigError(f"{stage}: {total - free:g} of {total:g} GPUs are still held after {timeout_s:g} s")
        time.sleep(0.5)
