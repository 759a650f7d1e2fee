"""A question with a checkable answer, and the ids of things by their content. Part of `lema_ray.records`."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

Task = Literal["arithmetic", "math", "choice", "code"]


def content_id(*parts: str) -> str:
    """A stable 16-hex-digit id of some text: the same content has the same id in every run."""
    return hashlib.blake2b("\x1f".join(parts).encode(), digest_size=8).hexdigest()


@dataclass(frozen=True, slots=True)
class Turn:
    """What was asked earlier in a conversation, and the answer; None: what the examined model says to it itself."""

    asked: str
    answered: str | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """A question with a checkable answer. Made by `questions`; read by every stage.

    `id` is the hash of the text and choices, and of the turns before. `solution` is the source's own worked solution.
    With task `code` the reference is a JSON list of tests, `["assert f(3) == 6", ...]`.
    `choices` are the texts behind A, B, C, ... and `reference` is then the letter. `type` is the subject, where a
    source has one. `reviewed` says that the reference was looked at, or computed, and is not to be doubted.
    `earlier` are the turns before it, of a question that is asked in a conversation; only test questions have any.
    """

    id: str
    text: str
    reference: str
    source: str
    task: Task = "arithmetic"
    solution: str | None = None
    level: str | None = None
    choices: tuple[str, ...] | None = None
    type: str | None = None
    reviewed: bool = False
    earlier: tuple[Turn, ...] = ()
