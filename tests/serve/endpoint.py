"""What the tests know of the application that they share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
