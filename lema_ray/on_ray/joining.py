"""Join a Ray cluster that somebody named. Called by `on_ray.cluster` and by `serve.start`."""

from __future__ import annotations

import re
import socket
from typing import Any

import ray

from lema_ray.config import ConfigError

ANSWERS_WITHIN_S = 10.0
_HOST_AND_PORT = re.compile(r"(?:ray://)?\[?([^\[\]/]+?)\]?:(\d{1,5})")


def join(address: str, **settings: Any) -> None:
    """`ray.init` of a cluster that is there. Raises `ConfigError` in one line for one that does not answer.

    Ray itself asks an address where nothing listens for more than ten minutes.
    """
    if found := _HOST_AND_PORT.fullmatch(address):
        try:
            socket.create_connection((found[1], int(found[2])), ANSWERS_WITHIN_S).close()
        except (OSError, OverflowError) as error:
            raise ConfigError(f"no Ray cluster answers at {address}: {error}") from error
    try:
        ray.init(address=address, **settings)
    except ConnectionError as error:
        raise ConfigError(
            f"the Ray cluster at {address} takes no connection: {error}. Ray clusters ask for a token by default: set"
            " RAY_AUTH_MODE=token and RAY_AUTH_TOKEN (or RAY_AUTH_TOKEN_PATH) as it has them"
        ) from error
