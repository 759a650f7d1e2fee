"""Structured logs: what happens to a run, with its name, the stage and the question's id as fields of each line.

Ray writes them (`ray.LoggingConfig`): with `ray: {logs: json}` the driver and every worker write JSON lines to their
standard error, with Ray's own ids of job, node, worker and actor beside ours. Without it nothing but warnings is seen.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from lema_ray.records import GradedQuestion

log = logging.getLogger("lema_ray")
for _each_request in ("httpx", "httpx2"):
    logging.getLogger(_each_request).setLevel(logging.WARNING)


def log_settings(encoding: str) -> dict[str, Any]:
    """What `ray.init` is told about logs: `plain` or `json`."""
    if encoding == "plain":
        return {"logging_level": "warning"}
    import ray

    return {"logging_config": ray.LoggingConfig(encoding="JSON", additional_log_standard_attrs=["name"])}


def are_structured() -> bool:
    """Whether this process writes more than warnings."""
    return log.isEnabledFor(logging.INFO)


def log_progress(run: str, counts: Mapping[str, Mapping[str, Any]], rows: int) -> None:
    """A line for each stage of a pipeline: what it has done of so many rows."""
    for stage, counted in counts.items():
        done = {name: value for name, value in counted.items() if value}
        log.info("%d of %d rows", counted["rows"], rows, extra={"run": run, "stage": stage} | done)


def log_drops(run: str, stage: str, before: Sequence[GradedQuestion], after: Sequence[GradedQuestion]) -> None:
    """A line for each thing that a stage dropped."""
    for old, new in zip(before, after, strict=True):
        for drop in new.drops[len(old.drops) :]:
            about = {"run": run, "stage": stage, "question": new.question.id}
            log.info("dropped %s", drop.id, extra=about | {"reason": drop.reason, "detail": drop.detail})
