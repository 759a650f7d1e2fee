"""A stream's pieces put together where many streams run at once. Called by `openai_api` for every streamed answer.

Handing one piece from a replica to Ray Serve's proxy costs the two about a millisecond of processor time, whatever is
in it; engines make pieces faster than that. So a replica sends about a thousand messages a second at most.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

from serve.closing import closing

PAUSE_S = 0.001
"""How long a piece waits for the next ones, for each other stream."""
AT_ONCE = 2
"""Messages that do not wait: the one that names the role, and the first text."""


async def gathered(pieces: AsyncIterator[str], streams: Callable[[], int]) -> AsyncIterator[str]:
    """The same text in fewer pieces; with one of `streams` running, in the same pieces. Raises what `pieces` raises."""
    waiting: list[str] = []
    arrived = asyncio.Event()
    async with closing(pieces):
        reader = asyncio.create_task(_read(pieces, waiting, arrived))
        try:
            sent = 0
            while not reader.done() or waiting:
                await arrived.wait()
                if sent >= AT_ONCE and (pause := PAUSE_S * (streams() - 1)) > 0:
                    # Ended early by the last piece.
                    await asyncio.wait((reader,), timeout=pause)
                arrived.clear()
                if waiting:
                    yield _taken(waiting)
                    sent += 1
            await reader
        finally:
            await _ended(reader)


async def _read(pieces: AsyncIterator[str], waiting: list[str], arrived: asyncio.Event) -> None:
    try:
        async for piece in pieces:
            waiting.append(piece)
            arrived.set()
    finally:
        arrived.set()


def _taken(waiting: list[str]) -> str:
    text = "".join(waiting)
    waiting.clear()
    return text


async def _ended(reader: asyncio.Task[None]) -> None:
    """Stop reading where the client has left; the stream can be closed when its reader is out of it."""
    reader.cancel()
    await asyncio.gather(reader, return_exceptions=True)
