"""A named cluster that is not there is said at once; Ray itself would ask for minutes."""

import time

import pytest

from lema_ray.config import ConfigError
from lema_ray.engines.launch import free_port
from lema_ray.on_ray.joining import join


@pytest.mark.parametrize("address", ["127.0.0.1:{port}", "ray://localhost:{port}", "[::1]:{port}"])
def test_an_address_where_nothing_listens(address: str) -> None:
    named = address.format(port=free_port())
    started = time.monotonic()
    with pytest.raises(ConfigError, match="no Ray cluster answers at") as raised:
        join(named)
    assert named in str(raised.value)
    assert time.monotonic() - started < 30
