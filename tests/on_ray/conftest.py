"""One small local Ray cluster for all tests of this folder, runs to put through it, and one that went through."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from on_ray_config import small

from lema_ray.config import RunConfig, parse_config
from lema_ray.on_ray.flow import Flow

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


@dataclass(frozen=True, slots=True)
class Collected:
    """A run that was collected, and the counts that collect gave back."""

    flow: Flow
    counts: dict[str, Any]


@pytest.fixture(scope="session")
def collected(cluster: None, tmp_path_factory: pytest.TempPathFactory) -> Collected:
    """The small run without changes, collected once for all tests that only read it or go on from it."""
    flow = Flow(parse_config(small(tmp_path_factory.mktemp("collected"))))
    flow.questions()
    return Collected(flow, flow.collect())
