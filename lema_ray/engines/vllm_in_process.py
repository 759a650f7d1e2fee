"""vLLM's engine in this process, driven by one thread: orders come in through a queue, answers go back to their loop.

Used by the vLLM engine on CPU, where it starts ten times faster than vLLM's own processes. The thread builds the
engine, adds requests, takes steps and sleeps while there is nothing to compute.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import os
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from lema_ray.engines import EngineUnavailable, RequestRefused


@dataclass(frozen=True, slots=True)
class _Order:
    """Something for the engine's thread to do. With a request id, `reply` is that request's output."""

    work: Callable[[Any], Any]
    reply: Future[Any]
    request_id: str | None = None


class InProcessDriver:
    """A `Driver`. Its methods may be called from any event loop; one such engine per process."""

    def __init__(self, arguments: dict[str, Any]) -> None:
        self._arguments = arguments
        self._orders: queue.SimpleQueue[_Order | None] = queue.SimpleQueue()
        self._waiting: dict[str, Future[Any]] = {}
        self._request_ids = map(str, itertools.count())
        self._lock = threading.Lock()
        self._end: BaseException | None = None
        self._thread: threading.Thread | None = None

    async def start(self) -> int:
        """Build the engine in its thread; the context length in tokens."""
        started: Future[int] = Future()
        # A daemon, so that a program that forgot to close its engine can still end.
        self._thread = threading.Thread(target=self._run, args=(started,), name="vllm-engine", daemon=True)
        self._thread.start()
        return await asyncio.wrap_future(started)

    async def generate(self, prompt: list[int], params: Any, lora: Any) -> Any:
        """The finished `RequestOutput`. Raises `RequestRefused` when vLLM does not accept the request."""
        from vllm.inputs.engine import tokens_input

        request_id, reply = next(self._request_ids), Future[Any]()
        inputs = tokens_input(prompt)
        self._send(
            _Order(lambda engine: engine.add_request(request_id, inputs, params, lora_request=lora), reply, request_id)
        )
        try:
            return await asyncio.wrap_future(reply)
        except asyncio.CancelledError:
            self._send(_Order(lambda engine: self._abort(engine, request_id), Future()))
            raise

    async def reload(self, path: str) -> None:
        """Load the weights in `path`."""
        await self._ask(lambda engine: engine.collective_rpc("load_other_weights", args=(path,)))
        if not await self._ask(lambda engine: engine.reset_prefix_cache()):
            raise EngineUnavailable("vLLM could not forget the cached prefixes of the old weights")

    async def close(self) -> None:
        """Stop after the current step, fail whoever still waits, and free the model."""
        self._orders.put(None)
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)

    async def _ask(self, work: Callable[[Any], Any]) -> Any:
        reply: Future[Any] = Future()
        self._send(_Order(work, reply))
        return await asyncio.wrap_future(reply)

    def _send(self, order: _Order) -> None:
        with self._lock:
            if self._end is None:
                self._orders.put(order)
                return
        order.reply.set_exception(self._unavailable())

    def _run(self, started: Future[int]) -> None:
        """The thread's whole life."""
        end: BaseException = EngineUnavailable("the engine is closed")
        engine = None
        try:
            engine = self._build()
            started.set_result(int(engine.model_config.max_model_len))
            self._serve(engine)
        except BaseException as error:
            end = error
            if engine is None:
                started.set_exception(error)
        self._fail_all(end)
        if engine is not None:
            engine.engine_core.shutdown()
        del engine
        gc.collect()

    def _build(self) -> Any:
        os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
        from vllm.engine.arg_utils import EngineArgs
        from vllm.v1.engine.llm_engine import LLMEngine

        return LLMEngine.from_engine_args(EngineArgs(**self._arguments))

    def _serve(self, engine: Any) -> None:
        while self._take_orders(engine):
            for output in engine.step():
                reply = self._waiting.pop(output.request_id, None)
                if reply is not None:
                    reply.set_result(output)

    def _take_orders(self, engine: Any) -> bool:
        """Carry out all orders that are there; wait for one while there is nothing to compute. False: close."""
        while True:
            try:
                order = self._orders.get(block=not engine.has_unfinished_requests())
            except queue.Empty:
                return True
            if order is None:
                return False
            self._carry_out(order, engine)

    def _carry_out(self, order: _Order, engine: Any) -> None:
        if not order.reply.set_running_or_notify_cancel():
            return
        try:
            result = order.work(engine)
        except Exception as error:
            refused = RequestRefused("bad_request", str(error))
            order.reply.set_exception(error if order.request_id is None else refused)
            return
        if order.request_id is None:
            order.reply.set_result(result)
        else:
            self._waiting[order.request_id] = order.reply

    def _abort(self, engine: Any, request_id: str) -> None:
        if self._waiting.pop(request_id, None) is not None:
            engine.abort_request([request_id])

    def _fail_all(self, end: BaseException) -> None:
        with self._lock:
            self._end = end
        while not self._orders.empty():
            order = self._orders.get()
            if order is not None and order.reply.set_running_or_notify_cancel():
                self._waiting[order.request_id or f"order {id(order)}"] = order.reply
        for reply in self._waiting.values():
            reply.set_exception(self._unavailable())
        self._waiting.clear()

    def _unavailable(self) -> EngineUnavailable:
        if isinstance(self._end, EngineUnavailable):
            return EngineUnavailable(str(self._end))
        return EngineUnavailable(f"vLLM died: {type(self._end).__name__}: {self._end}")
