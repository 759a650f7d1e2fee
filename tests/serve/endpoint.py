"""What the tests know of the application that they share."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import openai


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A served model."""

    url: str
    folder: Path
    key: str
    arguments: dict[str, Any]

    def client(self, **options: Any) -> openai.OpenAI:
        """OpenAI's own client, without retries."""
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key=self.key, max_retries=0, **options)


def ready(url: str) -> bool:
    """Whether it says that it has answered."""
    try:
        return httpx.get(f"{url}/readyz", timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


def wait_until(reached: Callable[[], bool], timeout_s: float = 30.0, said: Callable[[], str] | None = None) -> None:
    """Return when something is so; `said` tells why it may never be."""
    deadline = time.monotonic() + timeout_s
    while not reached():
        assert time.monotonic() < deadline, said() if said else f"not reached within {timeout_s:g} s"
        time.sleep(0.05)
