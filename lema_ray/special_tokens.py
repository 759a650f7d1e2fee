"""Chat tokens that keep what people and models wrote from being read as the template's own marks.

A tokenizer turns `<|end|>` into the end of a turn wherever it stands. Here only the template may write such tokens; in
a message the same characters are plain text. Called by the vLLM engine's prompts, by masking and by the endpoint.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from lema_ray.records import Message, content_id

Render = Callable[[Sequence[Message]], str]


@dataclass(frozen=True, slots=True)
class Encoded:
    """A rendered chat: its text, token ids, and each token's characters (start, stop)."""

    text: str
    ids: list[int]
    extents: list[tuple[int, int]]


def encode_chat(tokenizer: Any, render: Render, messages: Sequence[Message]) -> Encoded:
    """The tokens of a chat that `render` writes with the template, special tokens only where the template put them."""
    special = special_tokens(tokenizer)
    if not any(token in message.content for message in messages for token in special):
        text = render(messages)
        return Encoded(text, *_encode(tokenizer, text, 0))
    return _encode_apart(tokenizer, render, messages)


def special_tokens(tokenizer: Any) -> frozenset[str]:
    """The texts that a tokenizer takes for special tokens."""
    return _special(tuple(tokenizer.added_tokens_decoder.values()))


@lru_cache(maxsize=16)
def _special(added: tuple[Any, ...]) -> frozenset[str]:
    return frozenset(str(token) for token in added if token.special)


def _encode_apart(tokenizer: Any, render: Render, messages: Sequence[Message]) -> Encoded:
    marks = marks_for([message.content for message in messages])
    marked = [replace(message, content=mark) for message, mark in zip(messages, marks.marked, strict=True)]
    return encode_marked(tokenizer, render(marked), marks)


@dataclass(frozen=True, slots=True)
class Marks:
    """Texts, and what stands in a template for each of them."""

    texts: list[str]
    marked: list[str]
    mark: str


def marks_for(texts: Sequence[str]) -> Marks:
    """Marks that none of the texts holds."""
    mark = f"message{content_id(*texts)}number"
    return Marks(list(texts), [_between_its_blanks(text, f"{mark}{i}.") for i, text in enumerate(texts)], mark)


def encode_marked(tokenizer: Any, rendered: str, marks: Marks) -> Encoded:
    """The tokens of a text rendered with marks, each text in its mark's place.

    Template and texts are tokenized piece by piece: rare, and tokens do not merge across the seams.
    """
    text, ids, extents = "", list[int](), list[tuple[int, int]]()
    for number, piece in enumerate(re.split(rf"{marks.mark}(\d+)\.", rendered)):
        written = marks.texts[int(piece)].strip() if number % 2 else piece
        more, where = _encode(tokenizer, written, len(text), split_special_tokens=bool(number % 2))
        text, ids, extents = text + written, ids + more, extents + where
    return Encoded(text, ids, extents)


def _between_its_blanks(content: str, mark: str) -> str:
    """Templates may trim a message, so its blanks stay outside."""
    bare = content.strip()
    return content.replace(bare, mark) if bare else content


def _encode(tokenizer: Any, text: str, start: int, **how: bool) -> tuple[list[int], list[tuple[int, int]]]:
    # The template writes the special tokens itself; a second beginning-of-text would harm.
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=tokenizer.is_fast, **how)
    extents = [(start + a, start + b) for a, b in encoded.get("offset_mapping", ())]
    return list(encoded["input_ids"]), extents
