"""What somebody who means harm can do to `lema serve`, and whether others are served meanwhile.

    .venv/bin/python benchmarks/abuse.py URL KEY [SECONDS]

Against a server with keys that runs already. One after the other, each for so many seconds (20): guessed keys, bodies
without end, headers without end, and connections that send a byte a second. A client with the key asks all the while;
its latencies are shown beside those when nobody does harm.
"""

import asyncio
import statistics
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable

import aiohttp

Harm = Callable[[str, float, Counter[str]], Awaitable[None]]
ASK = {"messages": [{"role": "user", "content": "Tom has 2 apples and buys 3 more. How many apples does Tom have?"}]}
ASK |= {"max_tokens": 16}
PIECE = b"x" * 65536


async def asked(url: str, key: str, until: float) -> tuple[list[float], int]:
    """The latencies in seconds of one client's requests, one after another, and how many were not answered."""
    took, failed = [], 0
    async with aiohttp.ClientSession(headers={"authorization": f"Bearer {key}"}) as session:
        while (begun := time.monotonic()) < until:
            try:
                async with session.post(f"{url}/v1/chat/completions", json=ASK) as answer:
                    await answer.read()
                    failed += answer.status != 200
            except aiohttp.ClientError:
                failed += 1
            took.append(time.monotonic() - begun)
    return took, failed


async def nothing(url: str, until: float, seen: Counter[str]) -> None:
    """No harm."""
    await asyncio.sleep(until - time.monotonic())


async def guesses(url: str, until: float, seen: Counter[str]) -> None:
    """Eight at a time, one key after another."""

    async def guess(session: aiohttp.ClientSession, number: int) -> None:
        while time.monotonic() < until:
            headers = {"authorization": f"Bearer lema-{number}{seen.total()}"}
            async with session.get(f"{url}/v1/models", headers=headers) as answer:
                seen[str(answer.status)] += 1

    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*(guess(session, number) for number in range(8)))


async def bodies(url: str, until: float, seen: Counter[str]) -> None:
    """Four at a time, without a length and without an end; what is counted is how the server ended them."""
    await _raw(url, until, seen, 4, b"transfer-encoding: chunked\r\n\r\n", b"10000\r\n" + PIECE + b"\r\n", 0)


async def headers(url: str, until: float, seen: Counter[str]) -> None:
    """Four at a time, one header after another."""
    await _raw(url, until, seen, 4, b"", b"x-filler: " + b"y" * 1000 + b"\r\n", 0)


async def trickles(url: str, until: float, seen: Counter[str]) -> None:
    """Four hundred connections that never finish their headers."""
    await _raw(url, until, seen, 400, b"", b"x", 1)


async def _raw(
    url: str, until: float, seen: Counter[str], connections: int, head: bytes, piece: bytes, pause: float
) -> None:
    host, port = url.removeprefix("http://").split(":")

    async def one() -> None:
        while time.monotonic() < until:
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n" + head)
            sent = 0
            try:
                while time.monotonic() < until and not reader.at_eof() and not reader._buffer:  # type: ignore[attr-defined]
                    writer.write(piece)
                    await writer.drain()
                    sent += len(piece)
                    await asyncio.sleep(pause)
                answer = await asyncio.wait_for(reader.read(64), 1)
                seen[answer.decode(errors="replace").split("\r\n")[0] or "closed"] += 1
            except TimeoutError:
                seen["held open"] += 1
            except OSError:
                seen["cut"] += 1
            seen["megabytes sent"] += sent // 2**20
            writer.close()

    await asyncio.gather(*(one() for _ in range(connections)))


async def main(url: str, key: str, seconds: str = "20") -> None:
    """One harm after another."""
    for harm in (nothing, guesses, bodies, headers, trickles, nothing):
        seen, until = Counter[str](), time.monotonic() + float(seconds)
        _, (took, failed) = await asyncio.gather(harm(url, until, seen), asked(url, key, until))
        middle, late = statistics.median(took), sorted(took)[int(0.99 * len(took))]
        print(
            f"{harm.__name__:<9} {dict(seen)}; meanwhile {len(took)} asked, {failed} unanswered,"
            f" {middle * 1000:.0f} ms in the middle, {late * 1000:.0f} ms p99",
            flush=True,
        )


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
