"""Training examples to token ids and labels, through the model's own chat template; what is learned is decided here.

`tokenized` calls `tokenize_example` or `tokenize_pair` on every row, `preflight` shows some. No row is ever cut.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from lema_ray.errors import LemaError
from lema_ray.records import Dropped, Message, Span, TrainingExample
from lema_ray.special_tokens import encode_chat, special_tokens

NOT_LEARNED = -100
"""The label that the loss of PyTorch, transformers and TRL passes over."""
UNFINISHED = Span("", learn=False)
"""As a target's last span: the answer goes on after it, so its end of turn is not learned."""
LONGEST_SHOWN = 5


class MaskingError(LemaError):
    """A row cannot become ids and labels; the message names the row and says why."""


@dataclass(frozen=True, slots=True)
class Tokenized:
    """One row as the trainer takes it. `labels` is the id where the token is learned, else -100.

    A preference pair has the rejected answer, after the same prompt, in two lists of its own.
    """

    id: str
    input_ids: list[int]
    labels: list[int]
    rejected_input_ids: list[int] | None = None
    rejected_labels: list[int] | None = None

    @property
    def learned(self) -> int:
        """How many tokens carry the loss."""
        return sum(label != NOT_LEARNED for label in self.labels)

    @property
    def length(self) -> int:
        """Tokens of the row, of a pair those of its longer answer."""
        return max(len(self.input_ids), len(self.rejected_input_ids or ()))


@dataclass(frozen=True, slots=True)
class LengthReport:
    """Row lengths in tokens against the most that training takes; rows as (id, tokens), longest first."""

    rows: int
    max_length: int
    longest: tuple[tuple[str, int], ...]
    too_long: tuple[tuple[str, int], ...]

    def refuse(self) -> None:
        """Raise `MaskingError` that names the rows that do not fit, if there are any."""
        if not self.too_long:
            return
        listed = ", ".join(f"{row} ({tokens} tokens)" for row, tokens in self.too_long[:LONGEST_SHOWN])
        raise MaskingError(
            f"{len(self.too_long)} of {self.rows} rows are longer than the {self.max_length} tokens that training"
            f" takes: {listed}. A cut row would lose its end, which is the correction: raise train.max_length, or set"
            " build.too_long: drop"
        )

    def drops(self) -> list[Dropped]:
        """The rows that do not fit, as records for the funnel."""
        detail = f"tokens, at most {self.max_length} fit"
        return [Dropped("training", row, "too_long", f"{tokens} {detail}") for row, tokens in self.too_long]


def tokenize_example(example: TrainingExample, tokenizer: Any) -> Tokenized:
    """Ids of the template's whole rendering; labels on the tokens that lie wholly inside learned text.

    The template's end of turn is learned too, so that the model stops; not after a last span that is `UNFINISHED`.
    `rejected` is not looked at. Raises `MaskingError` when nothing would be learned, or the template changes the
    target, cannot be split into prompt and answer, or has no end-of-turn token.
    """
    text, prompt_end, learned = _render(example, tokenizer)
    encoded = encode_chat(tokenizer, partial(_apply, example, tokenizer), _conversation(example))
    if encoded.text != text:
        raise _refused(example, "the chat template changes a message that holds special tokens")
    extents = list(_extents(encoded.extents))
    if any(start < prompt_end < stop for start, stop in extents):
        raise _refused(
            example, "its first characters merge with the prompt into one token: start the target without blanks"
        )
    labels = [
        token if any(_inside(extent, part) for part in learned) else NOT_LEARNED
        for token, extent in zip(encoded.ids, extents, strict=True)
    ]
    if all(label == NOT_LEARNED for label in labels):
        raise _refused(example, "no token lies wholly inside its learned text, so nothing would be learned")
    return Tokenized(example.id, encoded.ids, labels)


def tokenize_pair(example: TrainingExample, tokenizer: Any) -> Tokenized:
    """Both answers of a preference pair, each labelled by its own spans. Raises `MaskingError`."""
    if example.rejected is None:
        raise _refused(
            example, "it has no rejected answer, and DPO learns from pairs: pairs go into an arm of their own"
        )
    chosen = tokenize_example(example, tokenizer)
    rejected = tokenize_example(replace(example, target=example.rejected), tokenizer)
    if (chosen.input_ids, chosen.labels) == (rejected.input_ids, rejected.labels):
        raise _refused(example, "its chosen and its rejected answer are the same, so nothing would be learned")
    return Tokenized(example.id, chosen.input_ids, chosen.labels, rejected.input_ids, rejected.labels)


def end_of_turn(tokenizer: Any) -> int:
    """The token that ends an answer in the tokenizer's chat template."""
    row = tokenize_example(TrainingExample("", (Message("user", "?"),), (Span("."),), "cot", ""), tokenizer)
    return next(label for label in reversed(row.labels) if label != NOT_LEARNED)


def check_lengths(rows: Iterable[Tokenized], max_length: int) -> LengthReport:
    """Which rows would not fit; memory grows only with those."""
    count, longest, too_long = 0, list[tuple[str, int]](), list[tuple[str, int]]()
    for count, row in enumerate(rows, 1):  # noqa: B007
        size = (row.id, row.length)
        longest = sorted([*longest, size], key=_by_length)[:LONGEST_SHOWN]
        if size[1] > max_length:
            too_long.append(size)
    return LengthReport(count, max_length, tuple(longest), tuple(sorted(too_long, key=_by_length)))


def _render(example: TrainingExample, tokenizer: Any) -> tuple[str, int, list[tuple[int, int]]]:
    """The template's text, where the prompt ends in it, and the stretches of it to learn."""
    _check(example, tokenizer)
    prompt = _apply(example, tokenizer, example.prompt, add_generation_prompt=True)
    text = _apply(example, tokenizer, _conversation(example))
    start = text.find(example.target_text, len(prompt))
    if not text.startswith(prompt):
        raise _refused(
            example, "with the answer the chat template renders the prompt differently, so they cannot be split"
        )
    if start < 0:
        raise _refused(example, "the chat template changes the target's text (does it strip blanks?)")
    return text, len(prompt), _learned_stretches(example, tokenizer, text, len(prompt), start)


def _check(example: TrainingExample, tokenizer: Any) -> None:
    if not getattr(tokenizer, "chat_template", None):
        raise MaskingError("the tokenizer has no chat template; add chat_template.jinja to the model's directory")
    if not getattr(tokenizer, "is_fast", False):
        raise MaskingError("the tokenizer cannot say where in the text its tokens lie; a fast tokenizer is needed")
    if not example.target_text.strip():
        raise _refused(example, "its target is empty")
    if not any(span.learn and span.text for span in example.target):
        raise _refused(example, "no span of its target is to be learned")
    if not example.prompt or example.prompt[-1].role == "assistant":
        raise _refused(
            example, "its prompt must end with a user message; an answer's given start is a span with learn: false"
        )


def _conversation(example: TrainingExample) -> list[Message]:
    return [*example.prompt, Message("assistant", example.target_text)]


def _apply(example: TrainingExample, tokenizer: Any, messages: Sequence[Message], **options: bool) -> str:
    from jinja2 import TemplateError

    plain = [{"role": m.role, "content": m.content} for m in messages]
    try:
        return str(tokenizer.apply_chat_template(plain, tokenize=False, **options))
    except TemplateError as error:
        raise _refused(example, f"the chat template refuses these messages: {error}") from None


def _learned_stretches(
    example: TrainingExample, tokenizer: Any, text: str, prompt_end: int, start: int
) -> list[tuple[int, int]]:
    # A template may open its answers (an empty thinking block, say); the model has to write that opening itself.
    parts = [(prompt_end, start)]
    for span in example.target:
        if span.learn:
            parts.append((start, start + len(span.text)))
        start += len(span.text)
    if example.target[-1] != UNFINISHED:
        parts.append((start, _end_of_turn(example, tokenizer, text, start)))
    return _joined(part for part in parts if part[0] < part[1])


def _end_of_turn(example: TrainingExample, tokenizer: Any, text: str, start: int) -> int:
    """Where the first special token after the target ends: generation stops there, what follows is never generated."""
    found = [
        (text.find(token, start), len(token)) for token in special_tokens(tokenizer) if text.find(token, start) >= 0
    ]
    if not found:
        raise _refused(
            example, "the chat template ends an answer without a special token, so the model would never stop"
        )
    where, length = min(found)
    return where + length


def _joined(parts: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for start, stop in parts:
        if joined and joined[-1][1] == start:
            joined[-1] = (joined[-1][0], stop)
        else:
            joined.append((start, stop))
    return joined


def _extents(offsets: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """The text each token stands for. Some tokenizers trim blanks from offsets: a token owns all since the last one."""
    end = 0
    for start, stop in offsets:
        yield min(start, end), stop
        end = max(end, stop)


def _inside(extent: tuple[int, int], part: tuple[int, int]) -> bool:
    if extent[0] >= extent[1]:
        return part[0] < extent[0] and extent[1] < part[1]
    return part[0] <= extent[0] and extent[1] <= part[1]


def _by_length(size: tuple[str, int]) -> tuple[int, str]:
    return -size[1], size[0]


def _refused(example: TrainingExample, why: str) -> MaskingError:
    return MaskingError(f"row {example.id} ({example.kind}): {why}")
