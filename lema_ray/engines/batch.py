"""An endpoint's Batch API as an engine: half the price, and answers within a day. Opened by `open_engine`.

Calls gather into files; each file is one batch, which is polled until it ends. What was submitted is noted in the run
folder (`paid/batches/`) before and after the endpoint takes it, so a run that was killed picks its batches up again and
submits nothing twice. Lines that expired or failed are asked for again in a later batch.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lema_ray.engines import EngineUnavailable, RequestRefused
from lema_ray.engines.leases import Leases
from lema_ray.engines.openai import OpenAIEngine, usage_of
from lema_ray.engines.openai_errors import explain, request_failure
from lema_ray.records import Completion, Message, Sampling
from lema_ray.runs import RunFolder
from lema_ray.spending.limiter import Settled, Want

if TYPE_CHECKING:
    from lema_ray.config import OpenAISpec

FOLDER = ("paid", "batches")
UNKNOWN = {"error": {"code": "missing", "message": "the batch ended without a line for this request"}}


@dataclass(slots=True)
class _Asked:
    custom_id: str
    line: bytes
    answer: asyncio.Future[dict[str, Any]]


class BatchEngine(OpenAIEngine):
    """An `Engine` that waits for hours. Give it thousands of calls at once."""

    def __init__(self, spec: OpenAISpec, leases: Leases | None, run: RunFolder | None) -> None:
        super().__init__(spec, leases)
        assert spec.batch is not None
        self._batch, self._run = spec.batch, run
        self._asked = Counter[str]()
        self._queue: list[_Asked] = []
        self._noted: dict[str, dict[str, Any]] = {}
        self._results: dict[str, asyncio.Task[dict[str, dict[str, Any]]]] = {}
        self._work: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Connect, and read what was submitted before."""
        await super().start()
        if self._run is not None:
            for name in self._run.files(*FOLDER, suffix=".json"):
                note = self._run.read_json(*FOLDER, name)
                self._noted |= {custom_id: note for custom_id in note["custom_ids"]}

    async def close(self) -> None:
        """Stop waiting; the batches go on."""
        for task in (*self._work, *self._results.values()):
            task.cancel()
        await super().close()

    async def __call__(self, messages: Sequence[Message], sampling: Sampling) -> Completion:
        """The completion, once its batch has ended. Raises as `OpenAIEngine` does."""
        if self._client is None:
            raise EngineUnavailable(f"the engine for {self.base_url} is not started")
        request = self._request(messages, sampling)
        body = request | request.pop("extra_body")
        expected = self._estimate.tokens(sum(len(m.content.encode("utf-8", "replace")) for m in messages))
        most = self._price.cost(expected, sampling.max_tokens)
        lease = await self._leased().acquire(Want(expected, sampling.max_tokens, most))
        used = (0, 0)
        try:
            reply = await self._answered(body)
            used = usage_of(reply)
        finally:
            self._leased().settle(Settled(lease, "ok" if used[0] else "failed", *used, self._price.cost(*used)))
        return self._completion(reply, sampling.max_tokens)

    async def _answered(self, body: dict[str, Any]) -> Any:
        from openai.types.chat import ChatCompletion

        said = ""
        for _ in range(self.spec.max_retries + 1):
            line = await self._line(body)
            response = line.get("response") or {}
            if response.get("status_code") == 200:
                return ChatCompletion.model_construct(**_objects(response["body"]))
            problem = line.get("error") or (response.get("body") or {}).get("error") or {}
            said = explain(f"{problem.get('code')}: {problem.get('message')}", self._key)
            if 400 <= response.get("status_code", 500) < 429:
                raise RequestRefused("bad_request", said)
        raise RequestRefused("endpoint_error", said)

    async def _line(self, body: dict[str, Any]) -> dict[str, Any]:
        """The line that answers a request: of a batch that was submitted before, or of a new one."""
        content = hashlib.blake2b(json.dumps(body, sort_keys=True).encode(), digest_size=16).hexdigest()
        custom_id = f"{content}-{self._asked[content]}"
        self._asked[content] += 1
        if (note := self._noted.get(custom_id)) is not None:
            found = await self._result(note)
            if found is not None:
                return found.pop(custom_id, UNKNOWN)
        line = {"custom_id": custom_id, "method": "POST", "url": "/v1/chat/completions", "body": body}
        asked = _Asked(custom_id, json.dumps(line).encode(), asyncio.get_running_loop().create_future())
        self._queue.append(asked)
        if len(self._queue) == 1:
            self._start(self._gather())
        return await asked.answer

    def _start(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)

    async def _gather(self) -> None:
        """Submit once nothing more comes, or a file is full."""
        seen = 0
        while seen < len(self._queue) < self._batch.max_requests:
            seen = len(self._queue)
            await asyncio.sleep(self._batch.gather_s)
        taken, self._queue = self._queue[: self._batch.max_requests], self._queue[self._batch.max_requests :]
        if self._queue:
            self._start(self._gather())
        try:
            note = await self._submit(taken)
            results = await self._result(note) or {}
        except Exception as error:
            known = isinstance(error, EngineUnavailable | RequestRefused | OSError)
            failure = error if known else request_failure(error, self.base_url, self.spec, self._key)
            for asked in taken:
                if not asked.answer.done():
                    asked.answer.set_exception(failure)
            return
        for asked in taken:
            if not asked.answer.done():
                asked.answer.set_result(results.pop(asked.custom_id, UNKNOWN))

    async def _submit(self, taken: Sequence[_Asked]) -> dict[str, Any]:
        client = self._patient()
        file = ("requests.jsonl", b"\n".join(asked.line for asked in taken))
        uploaded = await client.files.create(file=file, purpose="batch")
        note = {"submission": uuid.uuid4().hex, "batch": None, "custom_ids": [asked.custom_id for asked in taken]}
        self._write(note)
        batch = await client.batches.create(
            input_file_id=uploaded.id,
            endpoint="/v1/chat/completions",
            completion_window="24h",
            metadata={"submission": note["submission"]},
        )
        note["batch"] = batch.id
        self._write(note)
        return note

    def _write(self, note: dict[str, Any]) -> None:
        if self._run is not None:
            self._run.write_json(note, *FOLDER, f"{note['submission']}.json")

    def _patient(self) -> Any:
        """The client with its own retries: these calls are few, and no limit of a minute counts them."""
        assert self._client is not None
        return self._client.with_options(max_retries=self.spec.max_retries)

    async def _result(self, note: dict[str, Any]) -> dict[str, dict[str, Any]] | None:
        """The lines of a submission by custom id, fetched once; None when the endpoint never took it."""
        if note["batch"] is None:
            note["batch"] = await self._find(note["submission"])
        number = note["batch"]
        if number is None:
            return None
        if number not in self._results:
            self._results[number] = asyncio.create_task(self._lines(number))
        return await asyncio.shield(self._results[number])

    async def _lines(self, number: str) -> dict[str, dict[str, Any]]:
        import openai

        try:
            return await self._wait(number)
        except openai.OpenAIError as error:
            said = explain(str(error), self._key)
            raise EngineUnavailable(f"{self.base_url}: batch {number} cannot be read ({said})") from None

    async def _find(self, submission: str) -> str | None:
        """The batch of a submission whose note was cut short by a kill."""
        async for batch in self._patient().batches.list(limit=100):
            if (batch.metadata or {}).get("submission") == submission:
                return str(batch.id)
        return None

    async def _wait(self, number: str) -> dict[str, dict[str, Any]]:
        client = self._patient()
        while (batch := await client.batches.retrieve(number)).status in ("validating", "in_progress", "finalizing"):
            await asyncio.sleep(self._batch.poll_s)
        if batch.status == "failed":
            said = "; ".join(str(e.message) for e in (batch.errors.data or [])) if batch.errors else ""
            raise EngineUnavailable(f"{self.base_url} did not take batch {number}: {explain(said, self._key)}")
        lines: dict[str, dict[str, Any]] = {}
        for file in (batch.output_file_id, batch.error_file_id):
            if file is not None:
                text = (await client.files.content(file)).text
                lines |= {line["custom_id"]: line for line in map(json.loads, text.splitlines())}
        return lines


def _objects(body: dict[str, Any]) -> dict[str, Any]:
    """A reply's fields as the client's own objects; one that is no completion keeps what it has."""
    from openai.types import CompletionUsage
    from openai.types.chat import ChatCompletionMessage
    from openai.types.chat.chat_completion import Choice

    choices = []
    for choice in body.get("choices") or []:
        message = ChatCompletionMessage.model_construct(**choice["message"])
        choices.append(Choice.model_construct(**(choice | {"message": message})))
    usage = body.get("usage")
    return body | {"choices": choices, "usage": CompletionUsage.model_construct(**usage) if usage else None}
