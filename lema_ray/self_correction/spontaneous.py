"""One generation and nothing more (`off`), with its own doubts found as it streams (`spontaneous`)."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from lema_ray.self_correction.answering import Answering, Ended
from lema_ray.self_correction.doubts import DoubtFinder
from lema_ray.self_correction.events import Event, Piece


async def off(run: Answering) -> AsyncGenerator[Event, None]:
    """The first draft is the answer."""
    async for event in run.write("draft", run.models.solver, run.problem.messages, run.sampling):
        yield event


async def spontaneous(run: Answering) -> AsyncGenerator[Event, None]:
    """The model corrects itself, or not, within its one solution; ends with `doubted` when it doubted."""
    finder, ended = DoubtFinder(), None
    try:
        async for event in off(run):
            yield event
            if isinstance(event, Piece):
                for found in finder.feed(event.text):
                    yield run.doubt(found)
    except Ended as end:
        ended = end
    for found in finder.end():
        yield run.doubt(found)
    if ended is not None:
        raise ended
    run.stop_reason = "doubted" if run.doubts else "no_doubt"
