"""One application on Ray Serve for all tests of this folder that need one: a small model, keys, feedback, a page."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from endpoint import Endpoint
from small_base_model import SmallBaseModel

REPOSITORY = Path(__file__).parents[2]
sys.path.insert(0, str(REPOSITORY / "benchmarks"))


@pytest.fixture(scope="session")
def endpoint(tmp_path_factory: pytest.TempPathFactory, small_base_model: SmallBaseModel) -> Iterator[Endpoint]:
    """The small base model behind a proxy, with a key."""
    from serve import start as serving
    from serve.config import KeyLimits
    from serve.keys import add_key

    folder = tmp_path_factory.mktemp("served")
    key = add_key(folder / "keys.yaml", "tests", KeyLimits())
    arguments: dict[str, Any] = {
        "model": str(small_base_model.folder),
        "name": "word-problems",
        "keys": str(folder / "keys.yaml"),
        "access_log": str(folder / "access.log"),
        "feedback": {"folder": str(folder / "feedback")},
        "caps": {"seconds": 60},
        "engine": {"cpu_kv_cache_gb": 0.5, "max_num_seqs": 32},
    }
    # Replicas find the package where these tests do.
    os.environ["PYTHONPATH"] = os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")])
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    try:
        url = serving.start({"/": arguments}, "127.0.0.1", port)
        yield Endpoint(url, folder, key, arguments)
    finally:
        serving.stop()
