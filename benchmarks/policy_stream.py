"""What a policy adds to every piece of a stream, against the bare stream.

    .venv/bin/python benchmarks/policy_stream.py [pieces]

The stream is a generator that yields words at once, a step line every twelve words, so all time is the policy's.
"""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Sequence

from lema_ray.config import Policy
from lema_ray.records import Completion, Message, Sampling
from lema_ray.self_correction.models import Models
from lema_ray.self_correction.policies import correct_itself
from lema_ray.self_correction.problem import from_messages

PIECES = int(sys.argv[1]) if len(sys.argv) > 1 else 50_000
ASKED = (Message("user", "How many are left?"),)


async def stream(messages: Sequence[Message], sampling: Sampling) -> AsyncIterator[str | Completion]:
    """The model."""
    for number in range(PIECES):
        yield "word " if number % 12 else "12 - 2 = 10\n"
    yield Completion("", "stop", "m", 1, PIECES)


async def microseconds(events: AsyncIterator[object]) -> float:
    """Processor time a piece."""
    start = time.process_time()
    async for _ in events:
        pass
    return (time.process_time() - start) / PIECES * 1e6


async def main() -> None:
    """Each of the three, three times; the fastest counts."""
    print(f"bare         {min([await microseconds(stream(ASKED, Sampling())) for _ in range(3)]):6.2f} us a piece")
    for name in ("off", "spontaneous"):
        policy = Policy(policy=name)  # type: ignore[arg-type]
        runs = [correct_itself(policy, from_messages(ASKED), Sampling(), Models(stream)) for _ in range(3)]
        print(f"{name:12} {min([await microseconds(run) for run in runs]):6.2f} us a piece")


asyncio.run(main())
