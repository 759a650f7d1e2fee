"""Graded attempts as rows for a verifier: a question with a solution, and whether that is wrong.

Called by `training.verifier`. Questions, not attempts, are held out: a verifier that has seen a question's answer in
training would only have to compare.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from lema_ray.attempts import question_text
from lema_ray.config import VerifierConfig
from lema_ray.errors import LemaError
from lema_ray.records import GradedQuestion, content_id

Split = Literal["train", "dev", "test"]
SPLITS: tuple[Split, ...] = ("train", "dev", "test")


class VerifierError(LemaError):
    """A verifier cannot be trained on these attempts; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A solution that somebody gave to a question, and whether it is wrong."""

    question_id: str
    question: str
    solution: str
    wrong: bool


def split_of(question_id: str, config: VerifierConfig, seed: int) -> Split:
    """Where a question's attempts go: decided by its id and the seed."""
    place = int(content_id(str(seed), "verifier", question_id), 16) / 2**64
    if place < config.test_fraction:
        return "test"
    return "dev" if place < config.test_fraction + config.dev_fraction else "train"


def claims(rows: Iterable[GradedQuestion], config: VerifierConfig, seed: int) -> dict[Split, list[Claim]]:
    """The students' own finished attempts that are graded right or wrong, by split, each text of a question once.

    Raises `VerifierError` when a split has attempts of one kind only.
    """
    found: dict[Split, list[Claim]] = {split: [] for split in SPLITS}
    for row in rows:
        asked, seen = question_text(row.question), set[str]()
        for one in row.finished:
            text = one.attempt.text.strip()
            if one.grade.verdict == "unsure" or not text or text in seen:
                continue
            seen.add(text)
            claim = Claim(row.question.id, asked, text, one.grade.verdict == "wrong")
            found[split_of(row.question.id, config, seed)].append(claim)
    for split, some in found.items():
        _check(split, some)
    return found


def _check(split: Split, some: list[Claim]) -> None:
    wrong = sum(claim.wrong for claim in some)
    if 0 < wrong < len(some):
        return
    kind = "attempts at all" if not some else f"{'right' if wrong else 'wrong'} attempts among {len(some)}"
    raise VerifierError(
        f"verifier: no {kind} in the {split} part, and a verifier learns to tell the two apart. Collect more "
        "questions, or sample at a temperature at which the student is sometimes right and sometimes wrong."
    )
