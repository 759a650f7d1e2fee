"""vLLM in its own processes, through its asynchronous front end.

Used by the vLLM engine on GPU, where steps must not wait for this process's Python.
"""

from __future__ import annotations

import asyncio
import itertools
import os
from typing import Any

from lema_ray.engines import EngineUnavailable, RequestRefused
from lema_ray.engines.vllm_arguments import engine_threads


class ProcessesDriver:
    """A `Driver`, to be used from the event loop that started it."""

    def __init__(self, arguments: dict[str, Any]) -> None:
        self._arguments = arguments
        self._request_ids = map(str, itertools.count())
        self._engine: Any = None

    async def start(self) -> int:
        """Start the processes; the context length in tokens."""
        self._engine = await asyncio.to_thread(self._build)
        return int(self._engine.model_config.max_model_len)

    async def generate(self, prompt: list[int], params: Any, lora: Any) -> Any:
        """The finished `RequestOutput`. Raises `RequestRefused`, or `EngineUnavailable` when a process died."""
        from vllm.inputs.engine import tokens_input
        from vllm.v1.engine.exceptions import EngineDeadError

        final = None
        try:
            async for output in self._engine.generate(
                tokens_input(prompt), params, next(self._request_ids), lora_request=lora
            ):
                final = output
        except EngineDeadError as error:
            raise EngineUnavailable(f"vLLM died: {error}") from error
        except Exception as error:
            if self._engine.errored:
                raise EngineUnavailable(f"vLLM died: {error}") from error
            raise RequestRefused("bad_request", f"{type(error).__name__}: {error}") from error
        return final

    async def reload(self, path: str) -> None:
        """Load the weights in `path` in every worker."""
        await self._engine.collective_rpc("load_other_weights", args=(path,))
        if not await self._engine.reset_prefix_cache():
            raise EngineUnavailable("vLLM could not forget the cached prefixes of the old weights")

    async def close(self) -> None:
        """End the processes and wait for them."""
        await asyncio.to_thread(self._engine.shutdown)

    def _build(self) -> Any:
        os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "1"
        from vllm import AsyncEngineArgs
        from vllm.v1.engine.async_llm import AsyncLLM

        arguments = AsyncEngineArgs(**self._arguments)
        config = arguments.create_engine_config()
        with engine_threads(config):
            return AsyncLLM.from_vllm_config(config, disable_log_stats=arguments.disable_log_stats)
