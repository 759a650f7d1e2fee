"""Copies: rows that say again what an earlier row said.

Called by `candidates`. Exact copies have the same prompt and target. Near copies share most of their words and *all*
their numbers: word problems from one template with other numbers are other problems, however alike they read.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any, NamedTuple

from lema_ray.examples.words import ngrams, numbers, words
from lema_ray.records import TrainingExample

PERMUTATIONS = 128
SHINGLE = 3


class ExactCopies:
    """Remembers rows by a hash of 8 bytes."""

    def __init__(self) -> None:
        self._seen: set[int] = set()

    def is_copy(self, group: str, example: TrainingExample) -> bool:
        """Whether the group already has a row with this prompt and target (and rejected answer)."""
        turns = (part for m in example.prompt for part in (m.role, m.content))
        rejected = "".join(span.text for span in example.rejected or ())
        key = _hash("\x1f".join((group, *turns, example.target_text, rejected)).encode())
        known = key in self._seen
        self._seen.add(key)
        return known


class _Known(NamedTuple):
    name: str
    shingles: Any


class NearCopies:
    """MinHash LSH finds the texts worth a look; the exact Jaccard similarity of their word 3-shingles decides.

    It takes some 4 KB of memory a text, more than all else in the build: switch it off for many millions of rows.
    """

    def __init__(self, threshold: float) -> None:
        from datasketch import MinHash, MinHashLSH

        self._threshold = threshold
        self._blank = MinHash(PERMUTATIONS, hashfunc=lambda shingle: shingle & 0xFFFFFFFF)
        # A missed copy is worse than a look too many: these weights find 98 % of the copies at the threshold itself.
        self._index = MinHashLSH(threshold=threshold, num_perm=PERMUTATIONS, weights=(0.01, 0.99))
        self._known: list[_Known] = []

    def original_of(self, name: str, text: str) -> str | None:
        """The name of an earlier text that this one is a copy of, or None, and then this one is remembered."""
        shingles = _shingles(text)
        sketch = self._blank.copy()
        sketch.update_batch(shingles.tolist())
        alike: list[int] = sorted(self._index.query(sketch))
        for known in (self._known[key] for key in alike):
            if _jaccard(shingles, known.shingles) >= self._threshold:
                return known.name
        self._index.insert(len(self._known), sketch, check_duplication=False)
        self._known.append(_Known(name, shingles))
        return None


def _shingles(text: str) -> Any:
    """The sorted hashes of a text's shingles, salted by its numbers: other numbers, nothing in common."""
    import numpy as np

    tokens = words(text)
    salted = blake2b(" ".join(numbers(tokens)).encode(), digest_size=8)
    found = set()
    for shingle in ngrams(tokens, SHINGLE) if len(tokens) >= SHINGLE else [" ".join(tokens)]:
        hashed = salted.copy()
        hashed.update(b"\x1f" + shingle.encode())
        found.add(int.from_bytes(hashed.digest(), "little"))
    return np.array(sorted(found), dtype=np.uint64)


def _jaccard(a: Any, b: Any) -> float:
    import numpy as np

    shared = len(np.intersect1d(a, b, assume_unique=True))
    return float(shared / (len(a) + len(b) - shared))


def _hash(data: bytes) -> int:
    return int.from_bytes(blake2b(data, digest_size=8).digest(), "little")
