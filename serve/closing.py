"""Close a stream when its reader is done with it, so that its place in the engine is free at once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeVar

T = TypeVar("T")


@asynccontextmanager
async def closing(stream: AsyncIterator[T]) -> AsyncIterator[AsyncIterator[T]]:
    """`contextlib.aclosing` for what is typed as an iterator."""
    try:
        yield stream
    finally:
        close: Any = getattr(stream, "aclose", None)
        if close is not None:
            await close()
