"""Pieces of a stream that wait for one another: what is put together, what goes at once, what becomes of failures."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from serve.gathered import AT_ONCE, gathered

TEXT = [f"{number} " for number in range(200)]


class Pieces:
    """A stream that hands over each piece at once and knows whether it was closed."""

    def __init__(self, fails_after: int | None = None, waits_after: int | None = None) -> None:
        self.fails_after, self.waits_after = fails_after, waits_after
        self.closed = False

    async def stream(self) -> AsyncIterator[str]:
        try:
            for number, piece in enumerate(TEXT):
                if number == self.fails_after:
                    raise RuntimeError("the engine died")
                if number == self.waits_after:
                    await asyncio.Event().wait()
                yield piece
                await asyncio.sleep(0)
        finally:
            self.closed = True


async def _sent(pieces: Pieces, streams: int) -> list[str]:
    return [message async for message in gathered(pieces.stream(), lambda: streams)]


def test_alone_every_piece_goes_as_it_comes() -> None:
    sent = asyncio.run(_sent(Pieces(), streams=1))
    assert "".join(sent) == "".join(TEXT)
    assert len(sent) > len(TEXT) / 2


def test_beside_others_pieces_are_put_together_after_the_first_ones() -> None:
    pieces = Pieces()
    sent = asyncio.run(_sent(pieces, streams=100))
    assert "".join(sent) == "".join(TEXT)
    assert sent[0] == TEXT[0] and AT_ONCE < len(sent) < len(TEXT) / 10
    assert pieces.closed


@pytest.mark.parametrize("streams", [1, 100])
def test_what_came_before_a_failure_is_sent(streams: int) -> None:
    pieces, sent = Pieces(fails_after=5), list[str]()

    async def read() -> None:
        async for message in gathered(pieces.stream(), lambda: streams):
            sent.append(message)

    with pytest.raises(RuntimeError, match="the engine died"):
        asyncio.run(read())
    assert "".join(sent) == "".join(TEXT[:5]) and pieces.closed


@pytest.mark.parametrize("streams", [1, 100])
def test_a_client_that_leaves_closes_the_stream(streams: int) -> None:
    pieces = Pieces(waits_after=1)

    async def leave() -> None:
        stream = gathered(pieces.stream(), lambda: streams)
        assert await anext(stream) == TEXT[0]
        waiting = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)

    asyncio.run(leave())
    assert pieces.closed
