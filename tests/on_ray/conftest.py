"""One small local Ray cluster for all tests of this folder, and a run to put through it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from on_ray_config import small

from lema_ray.config import RunConfig, parse_config

MakeConfig = Callable[..., RunConfig]


@pytest.fixture(scope="session")
def cluster() -> Iterator[None]:
    """A cluster of four logical CPUs, ended with the session."""
    import ray

    from lema_ray.on_ray.cluster import connect

    # Workers find the scripts of these tests by module name.
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    connect(parse_config(small(Path("."), ray={"num_cpus": 4})))
    yield
    ray.shutdown()


@pytest.fixture
def make_config(tmp_path: Path) -> MakeConfig:
    """A config of a small run in this test's folder, with changes."""
    return lambda **changes: parse_config(small(tmp_path, **changes))
