"""What a run tells Prometheus, through Ray's own export: every node's metrics port has it under `ray_lema_...`.

Counters belong to the actor that adds a stage's counts up (`progress`) and to the limiters; gauges to whoever knows the
value. Nothing is labelled with a question or a text, so their number does not grow with the data.
`cluster/grafana` reads them.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from ray.util.metrics import Counter, Gauge

from lema_ray.spending.limiter import Limiter
from lema_ray.training.note import MEASURED

if TYPE_CHECKING:
    from lema_ray.on_ray.progress import Counted

COUNTERS = {
    "lema_rows_total": ("questions that a stage has finished", ("run", "stage")),
    "lema_attempts_total": ("attempts of students and writers", ("run", "stage")),
    "lema_verdicts_total": ("grades by verdict", ("run", "verdict")),
    "lema_corrections_total": ("corrections that passed the checks", ("run",)),
    "lema_drops_total": ("what was dropped, by reason", ("run", "stage", "reason")),
    "lema_requests_total": ("requests to models", ("run", "stage")),
    "lema_tokens_total": ("tokens, by kind: prompt, completion", ("run", "stage", "kind")),
    "lema_money_total": ("money for tokens", ("run", "stage")),
    "lema_lost_reports_total": ("reports of progress that failed, so that counts above are too low", ("report",)),
    "lema_requests_settled_total": ("requests to an endpoint by what became of them", ("endpoint", "outcome")),
}
GAUGES = {
    "lema_rows_expected": ("questions of the run", ("run",)),
    "lema_last_progress_seconds": ("when a stage last finished a question, in Unix time", ("run", "stage")),
    "lema_stalled": ("actors without progress", ("run", "stage")),
    "lema_queue_rows": ("questions that an engine's actor has at hand", ("stage",)),
    "lema_limiter_concurrency": ("requests that the limiter allows at once", ("endpoint",)),
    "lema_limiter_in_flight": ("requests under a lease", ("endpoint",)),
    "lema_limiter_paused_seconds": ("how long an endpoint has asked to wait", ("endpoint",)),
    "lema_budget_spent_money": ("money spent, with earlier starts of the run", ()),
    "lema_budget_money": ("the cap, absent without one", ()),
    "lema_training_step": ("step of the trainer", ("arm",)),
    "lema_training_steps": ("steps in all", ("arm",)),
    **{f"lema_training_{name}": (f"{name.replace('_', ' ')} as last logged", ("arm",)) for name in MEASURED},
}
VERDICTS = ("right", "wrong", "unsure")


@cache
def _counter(name: str) -> Any:
    description, tags = COUNTERS[name]
    return Counter(name, description, tag_keys=tags)


@cache
def _gauge(name: str) -> Any:
    description, tags = GAUGES[name]
    return Gauge(name, description, tag_keys=tags)


def add(name: str, value: float, **tags: str) -> None:
    """Count up; what is not above zero is no event (a row that is done again takes nothing back)."""
    if value > 0:
        _counter(name).inc(value, tags)


def put(name: str, value: float, **tags: str) -> None:
    """Set a gauge."""
    _gauge(name).set(value, tags)


def count_stage(run: str, stage: str, counted: Counted, reasons: Mapping[str, int]) -> None:
    """What a stage did to some rows, and what it dropped by reason."""
    add("lema_rows_total", counted.rows, run=run, stage=stage)
    add("lema_attempts_total", counted.attempts + counted.made_wrong, run=run, stage=stage)
    for verdict in VERDICTS:
        add("lema_verdicts_total", getattr(counted, verdict), run=run, verdict=verdict)
    add("lema_corrections_total", counted.corrections, run=run)
    for reason, number in reasons.items():
        add("lema_drops_total", number, run=run, stage=stage, reason=reason)
    add("lema_requests_total", counted.requests, run=run, stage=stage)
    add("lema_tokens_total", counted.prompt_tokens, run=run, stage=stage, kind="prompt")
    add("lema_tokens_total", counted.completion_tokens, run=run, stage=stage, kind="completion")
    add("lema_money_total", counted.cost, run=run, stage=stage)
    put("lema_last_progress_seconds", time.time(), run=run, stage=stage)


def show_limiter(endpoint: str, limiter: Limiter) -> None:
    """The state of one endpoint's limiter and of the budget that all share."""
    put("lema_limiter_concurrency", limiter.allowed, endpoint=endpoint)
    put("lema_limiter_in_flight", limiter.in_flight, endpoint=endpoint)
    put("lema_limiter_paused_seconds", limiter.paused_s, endpoint=endpoint)
    put("lema_budget_spent_money", limiter.budget.spent_money)
    if limiter.budget.money is not None:
        put("lema_budget_money", limiter.budget.money)
