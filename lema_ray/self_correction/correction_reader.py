"""Reads a LeMa correction while it is being written: the wrong step, the explanation, and the new steps one by one.

Used by `revise`. The steps before the wrong one are the draft's own bytes, whatever the reply repeats of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from lema_ray import checks
from lema_ray.mistakes.analysis import SAYS_RIGHT
from lema_ray.recipes.lema_prompts import labels_for
from lema_ray.recipes.recipe import Rejected
from lema_ray.recipes.step_labels import STEP_LABEL, labelled_steps, written_as
from lema_ray.records import Task
from lema_ray.replies import label_pattern, read_fields
from lema_ray.steps import join_steps


class CorrectionReader:
    """`feed` and `end` yield the text of the revision, which is what they yield together.

    `wrong_step` (0-based, None for a task without steps) and `explanation` are there before the first text. Raises
    `Rejected` with `bad_step`, `called_right` or `unreadable_reply`.
    """

    def __init__(self, steps: Sequence[str], task: Task) -> None:
        self.steps, self.task = steps, task
        self.wrong_step: int | None = None
        self.explanation = ""
        self._labels = labels_for(task)
        self._opens = label_pattern([self._labels["correct_solution"]])
        self._any_label = label_pattern(self._labels.values())
        self._head: list[str] = []
        self._rest: list[str] = []
        self._inside = False
        self._next = 1
        self._wrote = False

    def feed(self, piece: str) -> Iterator[str]:
        """More of the reply."""
        self._rest.append(piece)
        if "\n" in piece:
            *lines, rest = "".join(self._rest).split("\n")
            self._rest = [rest]
            for line in lines:
                yield from self._line(line)

    def end(self) -> Iterator[str]:
        """There is no more."""
        last, self._rest = "".join(self._rest), []
        yield from self._line(last)
        if not self._inside:
            yield from self._other_form("\n".join(self._head))

    def _line(self, line: str) -> Iterator[str]:
        if self._inside:
            yield from self._step(line)
            return
        opens = self._opens.match(line)
        if opens is None:
            self._head.append(line)
            return
        self._open(read_fields("\n".join(self._head), self._labels))
        yield from self._step(line[opens.end() :])

    def _other_form(self, reply: str) -> Iterator[str]:
        """A reply without our labels on lines of their own, such as JSON."""
        fields = read_fields(reply, self._labels)
        if "correct_solution" not in fields:
            raise Rejected("called_right" if SAYS_RIGHT.search(reply) else "unreadable_reply")
        self._open(fields)
        for line in fields["correct_solution"].split("\n"):
            yield from self._step(line)

    def _open(self, fields: dict[str, str]) -> None:
        """All that comes before the solution is known."""
        self._inside = True
        self.explanation = fields.get("explanation", "")
        if self.task == "choice":
            return
        number = re.search(r"\d{1,6}", fields.get("incorrect_step", ""))
        wrong = int(number[0]) - 1 if number else -1
        if not checks.step_exists(wrong, self.steps):
            raise Rejected("bad_step" if number else "unreadable_reply")
        self.wrong_step, self._next = wrong, wrong + 1

    def _step(self, line: str) -> Iterator[str]:
        """One line of the solution, in the draft's own way of writing; the first brings what is kept with it."""
        if self._any_label.match(line):
            raise Rejected("unreadable_reply")  # it begins again: a model that lost the thread
        text = line if self.task == "choice" else self._numbered(line)
        if not text.strip():
            return
        kept = "" if self.wrong_step is None else join_steps(self.steps[: self.wrong_step]).rstrip()
        start = "\n" if self._wrote else f"{kept}\n" if kept else ""
        self._wrote = True
        yield start + text

    def _numbered(self, line: str) -> str:
        label = STEP_LABEL.match(line)
        if label and self.wrong_step is not None and int(label[1][:6]) <= self.wrong_step:
            return ""
        # Dots, braces and blank lines are none of the steps.
        found = [text for _, text in labelled_steps(line, self._next)]
        if not found:
            return ""
        text = written_as(self.steps, found, self._next) if label else found[0]
        self._next += label is not None
        return text
