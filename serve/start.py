"""Serve one model or several from one command until it is told to stop. Called by `lema serve`.

Everything that can be said before is said before: bad folders, taken ports, missing keys, too few CPUs or GPUs.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import ray
from ray import serve
from ray.serve import Application

from lema_ray.config import ConfigError
from lema_ray.errors import LemaError
from lema_ray.on_ray.joining import join
from serve.app import build, check_cluster
from serve.checks import check_address, check_config, model_name, model_path
from serve.config import ServeConfig, parse_serve_config

SPARE_CPUS = 2
"""For Serve's controller, proxy and desk, which book none, and for the engine's own processes."""


def start(applications: Mapping[str, dict[str, Any]], host: str, port: int, address: str | None = None) -> str:
    """Start the applications by route prefix; the URL when all of them have answered. Raises `LemaError`."""
    configs = {prefix: parse_serve_config(arguments) for prefix, arguments in applications.items()}
    for config in configs.values():
        check_config(config)
    check_address(host, port, all(config.keys for config in configs.values()))
    _connect(configs, address)
    # Ray's own answer to it is a trace.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    built: dict[str, Application] = {prefix: build(arguments) for prefix, arguments in applications.items()}
    check_cluster(configs.values())
    serve.start(http_options={"host": host, "port": port})
    for prefix, application in built.items():
        _run(application, prefix)
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def _run(application: Application, prefix: str) -> None:
    name = prefix.strip("/").replace("/", "-") or "default"
    try:
        serve.run(application, name=name, route_prefix=prefix, blocking=False)
    except RuntimeError as error:
        deployments = serve.status().applications[name].deployments.values()
        said = [line for deployment in deployments for line in deployment.message.splitlines() if "Error: " in line]
        raise LemaError(said[-1].split("LemaError: ")[-1].strip() if said else str(error)) from error


def wait_for_signal() -> None:
    """Return when the process is told to stop."""
    told = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: told.set())
    told.wait()


def stop() -> None:
    """Let what is being answered be finished, then end everything."""
    # Serve would start a cluster to shut it down.
    if ray.is_initialized():
        serve.shutdown()
        ray.shutdown()


def _connect(configs: Mapping[str, ServeConfig], address: str | None) -> None:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if ray.is_initialized():
        return
    address = address or os.environ.get("RAY_ADDRESS")
    if address:
        join(address, log_to_driver=False)
        return
    # Ray would let its workers yield to everything else on the machine, and users wait for these.
    os.environ.setdefault("RAY_worker_niceness", "0")
    wanted = sum(config.cpus * _most_replicas(config) for config in configs.values())
    cpus = max(os.cpu_count() or 1, int(wanted) + SPARE_CPUS)
    # "local" looks for no other: a cluster that somebody else started on this machine is not ours to join.
    ray.init("local", num_cpus=cpus, include_dashboard=False, log_to_driver=False, logging_level="warning")


def _most_replicas(config: ServeConfig) -> int:
    # Twice: while a model is replaced, the old one and the new one are there.
    return 2 * (config.autoscaling.max_replicas if config.autoscaling else config.replicas)


def applications(
    models: Sequence[str], arms: Sequence[str], shared: Mapping[str, Any], settings: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """The arguments of every application by its route prefix; the first is at `/`. Raises `ConfigError`."""
    if arms and len(models) > 1:
        raise ConfigError("--arm is for one run folder; name model directories to serve several")
    extra = dict(setting.partition("=")[::2] for setting in settings)
    chosen = [{"model": models[0], "arm": arm} for arm in arms] or [{"model": model} for model in models]
    listed = [{**shared, **extra, **one} for one in chosen]
    names = [_name(arguments) for arguments in listed]
    if len(set(names)) < len(names):
        raise ConfigError(f"two models have one name: {', '.join(names)}")
    prefixes = ["/", *(f"/{quote(name, safe='')}" for name in names[1:])]
    siblings = dict(zip(names, prefixes, strict=True))
    return {
        prefix: {**arguments, "siblings": {n: p for n, p in siblings.items() if n != name}}
        for name, prefix, arguments in zip(names, prefixes, listed, strict=True)
    }


def _name(arguments: Mapping[str, Any]) -> str:
    config = parse_serve_config(arguments)
    return model_name(config, model_path(config))
