"""Fixtures that several test files share: the shared data folder, and a tiny model that takes no time to make."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings
from tiny_model import save_tiny_model

# A busy machine is not a failing property.
settings.register_profile("lema", deadline=None)
settings.load_profile("lema")

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with real questions and solutions: `LEMA_SHARED`, else `../shared/data` next to the repository."""
    folder = Path(os.environ.get("LEMA_SHARED") or REPOSITORY.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no shared data in {folder}; set LEMA_SHARED to the folder that holds it")
    return folder


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Llama that loads in vLLM and trains in milliseconds; it answers gibberish, the same every time."""
    return save_tiny_model(tmp_path_factory.mktemp("tiny-model"), seed=0)
