"""Which rows stay: not quoting the test set, not a copy, not too long. Called by `candidates`, row after row."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from lema_ray.config import BuildConfig
from lema_ray.examples.contamination import TestQuestions
from lema_ray.examples.duplicates import ExactCopies, NearCopies
from lema_ray.examples.units import Unit
from lema_ray.records import Dropped, Question, Span, TrainingExample


@dataclass(frozen=True, slots=True)
class Sifted:
    """A row with its sizes in tokens, and the reason to drop it, if there is one."""

    group: str
    example: TrainingExample
    tokens: int = 0
    learned: int = 0
    dropped: Dropped | None = None


class Sieve:
    """Judges rows in the order they come: of two copies the first stays. It holds hashes, never texts."""

    def __init__(
        self,
        config: BuildConfig,
        tests: TestQuestions | None,
        count_tokens: Callable[[str], int],
        max_length: int | None,
    ) -> None:
        self._tests, self._count, self._max_length = tests, count_tokens, max_length
        self._exact = ExactCopies()
        threshold = config.near_duplicates
        self._near = {k: NearCopies(threshold) for k in ("cot", "corrections", "revisions")} if threshold else {}

    def judge(self, question: Question, unit: Unit) -> Iterator[Sifted]:
        """Every row of a unit. Near copies are told by the unit, so all field ablations keep the same corrections."""
        quoted = self._tests.quoted_in(question) if self._tests else None
        if quoted:
            yield from (_drop(group, row, "contaminated", quoted) for group, row in unit.rows)
            return
        fresh = []
        for group, row in unit.rows:
            if self._exact.is_copy(group, row):
                yield _drop(group, row, "duplicate", "prompt and target of an earlier row")
            else:
                fresh.append((group, row))
        original = self._near[unit.kind].original_of(unit.id, unit.text) if fresh and self._near else None
        if original:
            yield from (_drop(group, row, "near_duplicate", f"near copy of {original}") for group, row in fresh)
        else:
            yield from (self._measured(group, row) for group, row in fresh)

    def _measured(self, group: str, row: TrainingExample) -> Sifted:
        tokens, learned = sizes(row, self._count)
        if self._max_length is not None and tokens > self._max_length:
            return _drop(group, row, "too_long", f"{tokens} tokens, at most {self._max_length} fit", tokens)
        return Sifted(group, row, tokens, learned)


def _drop(group: str, row: TrainingExample, reason: str, detail: str, tokens: int = 0) -> Sifted:
    return Sifted(group, row, tokens, dropped=Dropped("build", row.id, reason, detail))


def sizes(example: TrainingExample, count_tokens: Callable[[str], int]) -> tuple[int, int]:
    """Tokens of the prompt with the (longer) answer, and tokens that carry loss; the chat template is not counted."""
    prompt = count_tokens("\n".join(message.content for message in example.prompt))
    target = count_tokens(example.target_text)
    rejected = count_tokens("".join(span.text for span in example.rejected)) if example.rejected else 0
    return prompt + max(target, rejected), _learned(example.target, target, count_tokens)


def _learned(target: tuple[Span, ...], whole: int, count_tokens: Callable[[str], int]) -> int:
    if all(span.learn for span in target):
        return whole
    return sum(count_tokens(span.text) for span in target if span.learn)
