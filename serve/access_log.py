"""One JSON line per request: who, what, how long, how much; neither prompts nor keys. Written by `service`."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any


class AccessLog:
    """Appends lines to a file that replicas may share, or to standard error."""

    def __init__(self, path: str | None) -> None:
        self._file = (
            sys.stderr.fileno() if path is None else os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        )

    def write(self, fields: dict[str, Any]) -> None:
        """One line, in one write, so that lines of several replicas do not mix."""
        line = json.dumps({"time": round(time.time(), 3), **fields}, ensure_ascii=True, separators=(",", ":"))
        os.write(self._file, line.encode() + b"\n")
