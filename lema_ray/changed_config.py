"""What a changed config means for a run folder that was made with another. Called by `runs.open_run`.

Some settings say how a run works and not what it makes: they may change at any time. A change of the others touches the
stage that reads them and all that follow; told to, the run sets their results aside and does them again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

STAGES = ("questions", "collect", "build", "train", "verifier", "evaluate")
FOLDERS = {
    "questions": ("questions",),
    "collect": ("collected", "checkpoint", "analyzed", "evolved", "review"),
    "build": ("examples",),
    "train": ("models", "checkpoints", "trackers"),
    "verifier": ("verifier",),
    "evaluate": ("evaluations", "evaluating"),
}
"""What each stage leaves. `paid/` is not there: what was paid for is used again wherever the same is asked."""
READ_BY = {
    "questions": "questions",
    "import_attempts": "questions",
    "seed": "questions",
    "students": "collect",
    "writers": "collect",
    "grading": "collect",
    "corrector": "collect",
    "recipe": "collect",
    "more_recipes": "collect",
    "build": "build",
    "variants": "build",
    "train": "train",
    "verifier": "verifier",
    "evaluate": "evaluate",
}
_HOW = re.compile(
    r"runs_dir$|(budget|ray|rounds)\.|evaluate\.reuse\b|.*\.(actors|limits|prices)\b|.*\.(concurrency|timeout_s|max_retries|api_key_env"
    r"|base_url|launch|processes|max_num_seqs|gpu_memory_utilization|cpu_kv_cache_gb|tensor_parallel_size|in_process|keep_checkpoints|restarts|min_workers)$"
)


@dataclass(frozen=True, slots=True)
class Difference:
    """One key of a config, as it was and as it is."""

    key: str
    was: Any
    now: Any

    @property
    def matters(self) -> bool:
        """Whether results depend on it; workers, limits, prices, addresses, folder and budget are how they are got."""
        return _HOW.match(self.key) is None

    def __str__(self) -> str:
        return f"{self.key}: was {self.was!r}, is {self.now!r}"


def differences(was: Any, now: Any, key: str = "") -> Iterator[Difference]:
    """Every key in which two configs differ."""
    if isinstance(was, list) and isinstance(now, list) and len(was) == len(now):
        was, now = (dict(enumerate(items)) for items in (was, now))
    if isinstance(was, dict) and isinstance(now, dict):
        for name in sorted(was.keys() | now.keys(), key=str):
            yield from differences(was.get(name), now.get(name), f"{key}.{name}" if key else str(name))
    elif was != now:
        yield Difference(key, was, now)


def touched_stages(found: list[Difference]) -> tuple[str, ...]:
    """The first stage that reads one of these keys and all that follow it."""
    first = min((STAGES.index(READ_BY.get(d.key.split(".")[0], "questions")) for d in found), default=len(STAGES))
    return STAGES[first:]
