"""What Prometheus sees beside vLLM's own names. `openai_api` counts, `GET /metrics` shows.

Names and labels are documented in docs/serving.md; `policy` is `off` for plain requests.
"""

from __future__ import annotations

from typing import Any

from prometheus_client import Counter, Gauge, Histogram

_BY = ("model", "policy")
_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60, 120, 300)

REQUESTS = Counter("lema_requests", "Requests that were answered or refused", (*_BY, "status"))
SECONDS = Histogram("lema_request_seconds", "From the request to the end of its answer", _BY, buckets=_SECONDS)
FIRST_SECONDS = Histogram(
    "lema_first_byte_seconds", "From the request to the first byte of its answer", _BY, buckets=_SECONDS
)
PROMPT_TOKENS = Counter("lema_prompt_tokens", "Prompt tokens over all generations of requests", _BY)
COMPLETION_TOKENS = Counter("lema_completion_tokens", "New tokens over all generations of requests", _BY)
LEFT = Counter("lema_clients_left", "Requests whose client went away before the end", _BY)
REFUSED = Counter("lema_refused", "Requests that were refused, by the error's code", ("code",))
DOUBTS = Counter("lema_doubts", "Doubts raised about drafts", _BY)
REVISIONS = Counter("lema_revisions", "Revisions of drafts", _BY)
WRONG_STEPS = Counter("lema_wrong_steps_found", "Doubts that named a wrong step", _BY)
CHANGED = Counter("lema_answers_changed", "Final answers that differ from the first", _BY)
EXTRA_TOKENS = Counter("lema_extra_tokens", "Tokens spent beyond the first draft", _BY)
FEEDBACK = Counter("lema_feedback", "Verdicts of users", ("model", "policy", "verdict"))
IN_FLIGHT = Gauge("lema_in_flight", "Requests being served by this replica")


def count_correction(model: str, trace: dict[str, Any]) -> None:
    """Count what a finished trace says."""
    by = (model, str(trace.get("policy")))
    doubts = trace.get("doubts") or ()
    DOUBTS.labels(*by).inc(len(doubts))
    WRONG_STEPS.labels(*by).inc(sum(doubt.get("step") is not None for doubt in doubts))
    REVISIONS.labels(*by).inc(trace.get("revisions") or 0)
    EXTRA_TOKENS.labels(*by).inc(trace.get("extra_tokens") or 0)
    CHANGED.labels(*by).inc(trace.get("first_answer") != trace.get("final_answer"))
