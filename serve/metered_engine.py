"""vLLM's engine, counting what each request spends and refusing prompts over the cap. Imported by `vllm_backend` only.

Counting here and not in answers makes it exact for every kind of request, and for clients that left half-way.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from vllm.exceptions import VLLMValidationError
from vllm.v1.engine.async_llm import AsyncLLM

from serve.spending import SPENT


class MeteredEngine(AsyncLLM):  # type: ignore[misc]
    """`AsyncLLM` whose `generate` adds to the `Spent` of the request that it serves."""

    prompt_cap: int | None = None

    async def generate(self, prompt: Any, *args: Any, **kwargs: Any) -> AsyncGenerator[Any, None]:
        """As `AsyncLLM.generate`. Raises `VLLMValidationError` for a prompt over the cap."""
        spent, counted = SPENT.get(), False
        self._check_cap(prompt)
        async with aclosing(super().generate(prompt, *args, **kwargs)) as outputs:
            async for output in outputs:
                if spent is not None:
                    if not counted and output.prompt_token_ids is not None:
                        spent.prompt_tokens += len(output.prompt_token_ids)
                        counted = True
                    for choice in output.outputs:
                        spent.completion_tokens += len(choice.token_ids)
                        if choice.index == 0:
                            spent.texts.append(choice.text)
                yield output

    def _check_cap(self, prompt: Any) -> None:
        length = len(prompt.get("prompt_token_ids") or ()) if isinstance(prompt, dict) else 0
        if self.prompt_cap is not None and length > self.prompt_cap:
            message = f"the prompt has {length} prompt_tokens; this server takes at most {self.prompt_cap}"
            raise VLLMValidationError(message, parameter="messages")
