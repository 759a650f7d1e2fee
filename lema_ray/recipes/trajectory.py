"""A self-correcting solution, from a corrector's reply: read, joined to the steps that were kept, and checked.

The kept steps are the attempt's own, to the byte: the corrector writes only what follows. Used by `lemma`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from lema_ray import checks
from lema_ray.mistakes.analysis import SAYS_RIGHT
from lema_ray.recipes.lemma_options import Strategy
from lema_ray.recipes.lemma_prompts import LABELS
from lema_ray.recipes.recipe import Rejected
from lema_ray.recipes.step_labels import labelled_steps, written_as
from lema_ray.records import Completion, Question
from lema_ray.replies import read_fields
from lema_ray.self_correction.doubts import opens_with_doubt
from lema_ray.steps import join_steps

CITED = re.compile(r"(?i)\bstep (\d+)")
CHECKS = ("step_exists", "prefix_kept", "doubts", "differs", "no_reference", "no_assertion", "answer_right")


@dataclass(frozen=True, slots=True)
class Start:
    """The beginning of a trajectory: an attempt's steps and the index of its first wrong one."""

    steps: Sequence[str]
    wrong: int

    @property
    def right_part(self) -> str:
        """The steps before the wrong one."""
        return join_steps(self.steps[: self.wrong])

    @property
    def wrong_part(self) -> str:
        """The wrong step."""
        return self.steps[self.wrong]

    @property
    def kept(self) -> str:
        """All that is kept of the attempt."""
        return (self.right_part + self.wrong_part).rstrip()


@dataclass(frozen=True, slots=True)
class Turn:
    """What follows on a wrong step: the doubt, and the way to the answer."""

    doubt: str
    rest: str

    def revision(self, start: Start, strategy: Strategy) -> str:
        """The corrected solution as if there had been no mistake."""
        right = start.right_part.rstrip()
        return f"{right}\n{self.rest}" if right and strategy == "fix" else self.rest


def read_turn(reply: Completion, start: Start, strategy: Strategy) -> Turn:
    """The doubt and the continuation in a reply. Raises `Rejected` for whatever is wrong with their form."""
    fields = read_fields(reply.text, LABELS)
    if set(fields) != set(LABELS):
        raise Rejected("called_right" if SAYS_RIGHT.search(reply.text) else "unreadable_reply")
    doubt = checked_doubt(fields["doubt"], len(start.steps))
    first = start.wrong + 1 if strategy == "fix" else 1
    texts = _new_steps(fields["continuation"], start, strategy, first)
    if not texts:
        raise Rejected("unreadable_reply")
    old = [join_steps(start.steps), join_steps(start.steps[start.wrong :])]
    if not all(checks.differs("\n".join(texts), text) for text in old):
        raise Rejected("no_change")
    return Turn(doubt, written_as(start.steps, texts, first))


def checked_doubt(text: str, steps: int) -> str:
    """A doubt on one line. Raises `Rejected` unless it doubts and cites only steps of the `steps` that there are."""
    doubt = " ".join(text.split())
    if not opens_with_doubt(doubt):
        raise Rejected("called_right" if SAYS_RIGHT.search(doubt) else "no_doubt")
    if any(not 1 <= int(number) <= steps for number in CITED.findall(doubt)):
        raise Rejected("bad_step")
    return doubt


def _new_steps(text: str, start: Start, strategy: Strategy, first: int) -> list[str]:
    """The steps that the corrector wrote, without those that were kept, if it wrote them again."""
    written = labelled_steps(text, first)
    texts = [step for _, step in written]
    if len(texts) > start.wrong and checks.keeps_prefix(texts[: start.wrong + 1], start.steps):
        return texts[start.wrong + 1 :]
    if strategy == "fresh":
        return texts
    if written and written[0][0] > start.wrong + 1:
        raise Rejected("bad_step")
    if not checks.keeps_prefix([step for label, step in written if label <= start.wrong], start.steps):
        raise Rejected("prefix_changed")
    return [step for label, step in written if label > start.wrong]


async def check_turn(turn: Turn, start: Start, strategy: Strategy, question: Question) -> None:
    """Raises `Rejected` unless the trajectory is honest and right, as a whole and as a revision on its own."""
    if checks.mentions_reference(f"{turn.doubt}\n{turn.rest}", question.text):
        raise Rejected("reference_leak")
    derived = strategy == "fix" and checks.states(start.right_part, question.reference)
    known, work = question.text + start.kept, turn.rest.splitlines()
    if not derived and checks.asserts_answer(turn.doubt, work, question.reference, known):
        raise Rejected("asserted_answer")
    whole = f"{start.kept}\n{turn.doubt}\n{turn.rest}"
    for text in (turn.revision(start, strategy), whole):
        grade = await checks.grade_revision(text, question)
        if grade.verdict != "right":
            raise Rejected("wrong_answer" if grade.verdict == "wrong" else "unsure_answer")
