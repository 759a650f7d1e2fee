"""Users' verdicts on answers, as JSONL that `import_attempts` of a next run reads: mistakes in production become data.

Called by the HTTP application. A row has `question`, `solution` and `model`; `reference` where the user said what is
right, or said that this answer is.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from pathlib import Path
from typing import Any

from serve import metrics
from serve.errors import ApiError
from serve.requests import FeedbackBody
from serve.service import Service
from serve.visit import Visit


async def record_feedback(body: FeedbackBody, service: Service, visit: Visit) -> None:
    """Write one verdict. Raises `ApiError` 404 where feedback is not taken, or not of that answer."""
    config = service.config.feedback
    if config is None:
        raise ApiError(404, "this server takes no feedback", "feedback_disabled")
    id = body.request_id.removeprefix("chatcmpl-").removeprefix("cmpl-")
    answer = await service.desk.recall(id)
    # An answer belongs to the key that asked for it; to others it is as if it did not exist.
    if answer is None or answer["key"] != visit.key_name:
        raise ApiError(404, f"no answer {id!r} is remembered for this key", "unknown_request_id", "request_id")
    row = feedback_row(answer, body)
    await asyncio.to_thread(_append, Path(config.folder) / f"feedback-{service.replica}.jsonl", row)
    visit.model, visit.policy = answer["model"], answer["policy"]
    metrics.FEEDBACK.labels(answer["model"], answer["policy"], body.verdict).inc()


def feedback_row(answer: dict[str, Any], body: FeedbackBody) -> dict[str, Any]:
    """The record of a verdict. A right answer is its own reference."""
    final = (answer["trace"] or {}).get("final_answer")
    reference = body.reference or (final if body.verdict == "right" else None)
    row = {key: answer[key] for key in ("request_id", "question", "solution", "model", "policy", "trace")}
    row |= {"verdict": body.verdict, "time": round(time.time(), 3)}
    row |= {} if reference is None else {"reference": reference}
    return row | ({} if body.comment is None else {"comment": body.comment})


def _append(path: Path, row: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    line = json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(file, line)
    finally:
        os.close(file)
