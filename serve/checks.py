"""What can be said about a served model before anything is started: a clear line each. Called by `app` and `start`."""

from __future__ import annotations

import ipaddress
import os
import socket
from pathlib import Path

from lema_ray.config import ConfigError
from lema_ray.models import check_model, resolve_model
from serve.config import ServeConfig
from serve.keys import read_keys


def check_config(config: ServeConfig) -> None:
    """Look at the files that a config names. Raises `LemaError`."""
    if config.keys is not None and not read_keys(config.keys):
        raise ConfigError(f"{config.keys}: no key in it; `lema keys add NAME --file {config.keys}` adds one")
    for name, path in config.adapters.items():
        if not (Path(path) / "adapter_config.json").is_file():
            raise ConfigError(f"adapters.{name}: {path} is not an adapter directory: it has no adapter_config.json")
    if config.autoscaling and config.autoscaling.max_replicas < config.autoscaling.min_replicas:
        raise ConfigError("autoscaling: max_replicas is below min_replicas")
    check_model(model_path(config))


def model_path(config: ServeConfig) -> str:
    """The model's directory or hub id. Raises `LemaError`, for a run folder also where no arm is chosen."""
    if not (Path(config.model) / "config.yaml").is_file():
        if config.arm is not None:
            raise ConfigError(f"arm {config.arm!r} is of a run folder, which {config.model} is not")
        return resolve_model(config.model)
    models = Path(config.model) / "models"
    arms = sorted(f.name for f in models.glob("*") if (f / "config.json").is_file()) if models.is_dir() else []
    if (adapter := models / str(config.arm) / "adapter_config.json").is_file():
        beside = f"--set adapters.{config.arm}={adapter.parent}"
        raise ConfigError(
            f"{adapter.parent} is an adapter alone: serve its base with it beside, `lema serve BASE {beside}`"
        )
    if not arms:
        raise ConfigError(f"{config.model}: a run folder without trained models; `lema train` makes them")
    if config.arm is None and len(arms) == 1:
        return str(models / arms[0])
    if config.arm not in arms:
        asked = "which arm is to be served" if config.arm is None else f"no arm {config.arm!r}"
        raise ConfigError(f"{config.model}: {asked}; there are {', '.join(arms)}")
    return str(models / config.arm)


def model_name(config: ServeConfig, path: str) -> str:
    """The model's name in the API."""
    if config.name:
        return config.name
    if path == config.model and not os.path.isdir(path):
        return path
    return config.model if path != config.model and not os.path.isdir(config.model) else Path(path).name


def check_address(host: str, port: int, with_keys: bool) -> None:
    """Raise `ConfigError` for an address that is taken, or open to others without keys."""
    if not with_keys and not is_loopback(host):
        raise ConfigError(
            f"{host} is open to other machines: give --api-keys FILE (`lema keys add NAME` makes one), or use 127.0.0.1"
        )
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ConfigError(f"{host}:{port} cannot be listened on: {error.strerror or error}") from None


def is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
