"""Fixtures that several test files share: the shared data folder, a tiny model that is made in no time, a browser."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from in_browser import open_chromium
from small_base_model import SmallBaseModel, train_small_base_model
from tiny_model import save_tiny_model

if TYPE_CHECKING:
    from playwright.sync_api import Browser

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


@pytest.fixture(scope="session")
def small_base_model(tmp_path_factory: pytest.TempPathFactory) -> SmallBaseModel:
    """A model that has learned what a solution looks like: `tests/demo` examines it and `tests/serve` serves it."""
    return train_small_base_model(tmp_path_factory.mktemp("small-base-model"))


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Headless Chromium of this machine, for one module: while it is open, tests that are coroutines cannot run."""
    with open_chromium() as browser:
        yield browser
