"""Text as words, the common ground of near copies and contamination."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

WORD = re.compile(r"\d+(?:[.,]\d+)*|[^\W\d_]+|[-+*/=<>^%]")
_NUMERALS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million half third "
    "quarter once twice thrice double triple dozen first second"
)
NUMERALS = frozenset(_NUMERALS.split())


def words(text: str) -> list[str]:
    """Lower-case words, numbers without thousands separators, and operators; other punctuation is left out."""
    return [w.replace(",", "") if w[0].isdigit() else w for w in WORD.findall(text.lower())]


def numbers(tokens: Sequence[str]) -> list[str]:
    """The numbers among them, in digits or in words, sorted."""
    return sorted(w for w in tokens if w[0].isdigit() or w in NUMERALS)


def ngrams(tokens: Sequence[str], n: int) -> Iterator[str]:
    """Every run of n words; none when there are fewer."""
    return (" ".join(tokens[i : i + n]) for i in range(len(tokens) - n + 1))
