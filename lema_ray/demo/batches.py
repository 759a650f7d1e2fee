"""The Batch API in front of a teacher: files of requests in, files of answers and errors out. Used by the fault server.

Lines meet the server's faults too: a fault of the connection becomes an error line. Some may not be reached before the
batch expires.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lema_ray.demo.completions import ChatRequest
from lema_ray.demo.faulty import error

Answer = Callable[[ChatRequest], tuple[int, dict[str, Any]]]


class Batches:
    """Files and batches, in memory. `answer` gives the status and the body of one line's reply."""

    def __init__(self, answer: Answer, delay_s: float, is_expired: Callable[[], bool]) -> None:
        self._answer, self._delay_s, self._is_expired = answer, delay_s, is_expired
        self._files: dict[str, bytes] = {}
        self._batches: dict[str, dict[str, Any]] = {}
        self._work: set[asyncio.Task[None]] = set()
        self.routes = [
            Route("/v1/files", self.upload, methods=["POST"]),
            Route("/v1/files/{id}/content", self.content),
            Route("/v1/batches", self.create, methods=["POST"]),
            Route("/v1/batches", self.all),
            Route("/v1/batches/{id}", self.retrieve),
        ]

    async def upload(self, http: Request) -> Response:
        """A file of requests, as a form."""
        async with http.form() as form:
            file: Any = form["file"]
            return JSONResponse(self._keep(await file.read(), str(form["purpose"])))

    async def content(self, http: Request) -> Response:
        """The bytes of a file."""
        found = self._files.get(http.path_params["id"])
        return Response(found) if found is not None else error(404, "not_found_error", "No such file.")

    async def create(self, http: Request) -> Response:
        """Start a batch. A line that cannot be read fails all of it."""
        asked = json.loads(await http.body())
        number = f"batch_{len(self._batches) + 1}"
        batch = {"id": number, "object": "batch", "status": "validating", "created_at": int(time.time())}
        batch |= {k: asked.get(k) for k in ("endpoint", "input_file_id", "completion_window", "metadata")}
        self._batches[number] = batch
        task = asyncio.create_task(self._run(batch))
        self._work.add(task)
        task.add_done_callback(self._work.discard)
        return JSONResponse(batch)

    async def all(self, http: Request) -> Response:
        """All batches, the newest first."""
        return JSONResponse({"object": "list", "data": [*reversed(self._batches.values())], "has_more": False})

    async def retrieve(self, http: Request) -> Response:
        """How a batch stands."""
        found = self._batches.get(http.path_params["id"])
        return JSONResponse(found) if found else error(404, "not_found_error", "No such batch.")

    def _keep(self, data: bytes, purpose: str) -> dict[str, Any]:
        number = f"file-{len(self._files) + 1}"
        self._files[number] = data
        head = {"id": number, "object": "file", "bytes": len(data), "created_at": int(time.time())}
        return head | {"filename": f"{number}.jsonl", "purpose": purpose, "status": "processed"}

    async def _run(self, batch: dict[str, Any]) -> None:
        try:
            lines = [json.loads(line) for line in self._files[batch["input_file_id"]].splitlines()]
            requests = [(line["custom_id"], ChatRequest.model_validate(line["body"])) for line in lines]
            if len({custom for custom, _ in requests}) < len(requests):
                raise ValueError("custom_id is not unique")
        except (ValueError, KeyError, ValidationError) as problem:
            data = [{"code": "invalid_json_line", "message": str(problem)[:200]}]
            batch |= {"status": "failed", "errors": {"object": "list", "data": data}}
            return
        batch["status"] = "in_progress"
        await asyncio.sleep(self._delay_s)
        self._finish(batch, requests)

    def _finish(self, batch: dict[str, Any], requests: list[tuple[str, ChatRequest]]) -> None:
        answered: list[dict[str, Any]] = []
        failed: list[dict[str, Any]] = []
        for custom, request in requests:
            if self._is_expired():
                late = {"code": "batch_expired", "message": "This request was not reached in time."}
                failed.append({"custom_id": custom, "response": None, "error": late})
                continue
            status, body = self._answer(request)
            line = {"custom_id": custom, "response": {"status_code": status, "body": body}, "error": None}
            (answered if status == 200 else failed).append(line)
        expired = any(line["error"] for line in failed)
        for key, lines in (("output_file_id", answered), ("error_file_id", failed)):
            text = "\n".join(json.dumps(line) for line in lines)
            batch[key] = self._keep(text.encode(), "batch_output")["id"] if lines else None
        batch["status"] = "expired" if expired else "completed"
