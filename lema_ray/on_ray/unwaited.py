"""Calls of an actor that nobody waits for, whose failures are told all the same. Used by pools to report progress."""

from __future__ import annotations

from concurrent.futures import Future
from functools import partial
from itertools import count
from typing import Any

from lema_ray.on_ray import metrics
from lema_ray.on_ray.logs import log

_failures = count(1)


def call_unwaited(actor: Any, method: str, *arguments: Any) -> None:
    """Call an actor's method and go on. The first failure of this process is a warning, every one is counted."""
    call = getattr(actor, method).remote(*arguments)
    call.future().add_done_callback(partial(_note_failure, method))


def _note_failure(method: str, done: Future[Any]) -> None:
    error = done.exception()
    if error is None:
        return
    if next(_failures) == 1:
        cause = getattr(error, "cause", None) or error
        about = "rows, rates and metrics of this run may be too low, its results are not touched"
        log.warning("a report of progress (%s) was lost: %s: %s; %s", method, type(cause).__name__, cause, about)
    metrics.add("lema_lost_reports_total", 1, report=method)
