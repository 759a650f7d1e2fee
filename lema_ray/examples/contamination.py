"""Questions to learn from that quote questions to be examined on.

Called by `candidates` before any row of a question is kept.
"""

from __future__ import annotations

from collections.abc import Iterable

from lema_ray.examples.words import ngrams, words
from lema_ray.records import Question


class TestQuestions:
    """The word n-grams of the test questions, and the short ones as a whole."""

    __test__ = False  # pytest takes classes of this name for tests

    def __init__(self, questions: Iterable[Question], n: int) -> None:
        self._n = n
        self._ngrams: dict[int, str] = {}
        self._whole: dict[str, str] = {}
        for question in questions:
            tokens = words(question.text)
            self._whole.setdefault(" ".join(tokens), question.id)
            for ngram in ngrams(tokens, n):
                self._ngrams.setdefault(hash(ngram), question.id)

    def quoted_in(self, question: Question) -> str | None:
        """Which test question this one quotes and where, or None. A test question of fewer words must be all of it."""
        tokens = words(question.text)
        same = self._whole.get(" ".join(tokens))
        if same is not None:
            return f"the same text as test question {same}"
        for ngram in ngrams(tokens, self._n):
            if hash(ngram) in self._ngrams:
                return f"shares {ngram!r} with test question {self._ngrams[hash(ngram)]}"
        return None
