"""What happens while a model corrects itself, and its form in JSON. Made by policies, read by the server.

The events of one answer: `Began` and its `Piece`s for every draft, `Doubt`s, and last the `Trace`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from lema_ray.config import Policy
from lema_ray.records import Doubt, DraftKind, Trace


@dataclass(frozen=True, slots=True)
class Began:
    """A draft begins."""

    draft: int
    kind: DraftKind


@dataclass(frozen=True, slots=True)
class Piece:
    """More of a draft. Pieces of one draft come in order; drafts that are voted on come at once."""

    draft: int
    text: str


Event = Began | Piece | Doubt | Trace

_NAMES = {Began: "draft", Piece: "piece", Doubt: "doubt", Trace: "final"}


def event_json(event: Event) -> dict[str, Any]:
    """An event as the stream shows it: `event` is draft, piece, doubt or final."""
    return {"event": _NAMES[type(event)], **asdict(event)}


def content(event: Event, policy: Policy) -> str:
    """What of an event a plain client reads. Over all events it is the content of the answer.

    A policy of one draft streams that draft; of the others the draft that becomes the answer is known at the end only.
    """
    if policy.policy in ("off", "spontaneous") and policy.returns == "final":
        return event.text if isinstance(event, Piece) else ""
    if not isinstance(event, Trace):
        return ""
    return event.text if policy.returns == "final" else story(event)


def story(trace: Trace) -> str:
    """A trace as text: every draft with what was doubted in it, and last the draft that is the answer."""
    order = [*(i for i in range(len(trace.drafts)) if i != trace.final_draft), trace.final_draft]
    parts = [part for number in order if number < len(trace.drafts) for part in _told(trace, number)]
    return "\n\n".join(parts)


def _told(trace: Trace, number: int) -> list[str]:
    doubts = [d for d in trace.doubts if d.draft == number and d.kind == "judged"]
    reasons = (f"[Doubted{'' if d.step is None else f', step {d.step + 1}'}: {d.reason}]" for d in doubts)
    return [trace.drafts[number].text, *reasons]
