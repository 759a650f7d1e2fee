"""The application: `serve run serve.app:build model=...`, `serve deploy serve/config.yaml`, `lema serve`.

`build` looks at everything it can before anything is started, so that a mistake is one line and not a replica that dies
again and again.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import ray
from ray import serve
from ray.serve import Application

from lema_ray.config import ConfigError
from serve.asking import with_task
from serve.checks import check_config, model_name, model_path
from serve.config import ServeConfig, parse_serve_config
from serve.replica import DeskDeployment, Replica

# Serve's own bounds lie above the replica's, which answers in OpenAI's form; these hold when that cannot.
ABOVE = 32
QUEUED = 256
RETRY_AFTER_S = 2


def check_cluster(configs: Iterable[ServeConfig]) -> None:
    """Raise `ConfigError` when the cluster cannot hold the replicas: they would wait for ever."""
    have = ray.cluster_resources()
    wanted = [(_fewest(config), config) for config in configs]
    for kind, per_replica in (("CPU", lambda c: c.cpus), ("GPU", _gpus)):
        needed = sum(replicas * per_replica(config) for replicas, config in wanted)
        if needed > have.get(kind, 0):
            raise ConfigError(f"the replicas need {needed:g} {kind}s and the cluster has {have.get(kind, 0):g}")


def build(args: dict[str, Any]) -> Application:
    """The application of one served model. Raises `LemaError` for what cannot be served."""
    config = with_task(parse_serve_config(args))
    check_config(config)
    if ray.is_initialized():
        check_cluster([config])
    path = model_path(config)
    # Keys and lists only: what is bound is pickled, and replicas check it again.
    arguments = [config.model_dump(mode="json"), path, model_name(config, path)]
    if _shares(config):
        arguments.append(_desk(config))
    return serve.deployment(Replica).options(**_options(config)).bind(*arguments)


def _shares(config: ServeConfig) -> bool:
    """Whether replicas have anything in common: otherwise a request asks nobody else."""
    return bool(config.keys or config.feedback or any(config.limits.model_dump().values()) or _several(config))


def _several(config: ServeConfig) -> bool:
    return config.replicas > 1 or config.autoscaling is not None


def _fewest(config: ServeConfig) -> int:
    return config.autoscaling.min_replicas if config.autoscaling else config.replicas


def _gpus(config: ServeConfig) -> float:
    """GPUs of a replica: as many as the model is spread over, where there are any; on a CPU machine none."""
    if config.gpus is not None:
        return config.gpus
    has_any = ray.is_initialized() and ray.cluster_resources().get("GPU", 0) > 0
    return float(config.spec.tensor_parallel_size) if has_any else 0.0


def _desk(config: ServeConfig) -> Any:
    remembered = config.feedback.remembered if config.feedback else 0
    deployment = serve.deployment(DeskDeployment).options(
        name="Desk",
        num_replicas=1,
        ray_actor_options={"num_cpus": 0},
        max_ongoing_requests=1000,
        max_surge_percent=100,
        health_check_period_s=1,
    )
    return deployment.bind(remembered)


def _options(config: ServeConfig) -> dict[str, Any]:
    options: dict[str, Any] = {
        "name": "Model",
        "max_ongoing_requests": config.caps.in_flight + ABOVE,
        "max_queued_requests": QUEUED,
        "backpressure_config": {"status_code": 503, "retry_after_s": RETRY_AFTER_S},
        "health_check_period_s": 1,
        "health_check_timeout_s": 30,
        # A replica that is to go finishes its longest answer.
        "graceful_shutdown_timeout_s": math.ceil(config.caps.seconds) + 5,
        "graceful_shutdown_wait_loop_s": 0.5,
        # A new version is up before the old one goes, also of a single replica.
        "max_surge_percent": 100,
        "ray_actor_options": {"num_cpus": config.cpus, "num_gpus": _gpus(config)},
    }
    if config.autoscaling is None:
        return options | {"num_replicas": config.replicas}
    return options | {"autoscaling_config": config.autoscaling.model_dump()}
