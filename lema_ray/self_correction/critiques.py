"""A critique of a solution, a verdict on each step up to the first wrong one and on the answer: asked for, read, shown.

One request and one format for everybody: critics are trained on them by the `critique` and `score` recipes, and asked
with them by the `critique` policy. Idea: AutoMathCritique (arXiv 2411.16579); format and wording are ours, shorter than
the paper's, which repeats every step.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from lema_ray.records import Message
from lema_ray.steps import number_steps, split_steps

CRITICIZE = """\
Below are a question and a solution to it in numbered steps. Go through the steps in order. For each write one line, \
"Step 1: right" or "Step 1: wrong", and after a dash the reason in one sentence. Stop at the first step that is wrong. \
End with the line "Final answer: right" or "Final answer: wrong"."""
THEN_CORRECT = """ If it is wrong, write "Correction:" on a line after that, and a right solution."""
CORRECTION = "Correction:"
REVISE = """\
Somebody looked at your solution and wrote this:

{critique}

Solve the question again. Use what is justified in these remarks, and end in the same form as before."""
_LINE = re.compile(
    r"(?i)^[\W_]*(?:step\s{1,4}(\d{1,4})|(?:(?:the|so)\s{1,4}){0,2}(?:final\s{1,4})?answer)[\W_]{0,4}?"
    r"(?:[:.)-]|\sis\b)[\W_]{0,8}(?:is\s{1,4})?(right|correct|wrong|incorrect)\b[*_]{0,3}[.:,;!]?"
    r"\s{0,4}[-–—]?\s{0,4}(.*)$"
)
_RIGHT = ("right", "correct")


@dataclass(frozen=True, slots=True)
class Judged:
    """One verdict, with what is wrong and what to do instead where something is wrong."""

    right: bool
    why: str = ""

    def __str__(self) -> str:
        return f"{'right' if self.right else 'wrong'}{f' - {self.why}' if self.why else ''}"


@dataclass(frozen=True, slots=True)
class Critique:
    """Verdicts on the first steps of a solution, in order, and on its answer. They do not contradict each other."""

    steps: tuple[Judged, ...]
    answer: Judged

    @property
    def wrong_step(self) -> int | None:
        """The first wrong step (0-based); None when the solution is judged right."""
        return next((at for at, judged in enumerate(self.steps) if not judged.right), None)

    @property
    def why(self) -> str:
        """What is wrong with the first wrong step."""
        return "" if self.wrong_step is None else self.steps[self.wrong_step].why

    def short(self) -> Critique:
        """Without the steps behind the first wrong one, praise, and words on the answer."""
        end = len(self.steps) if self.wrong_step is None else self.wrong_step + 1
        kept = tuple(judged if not judged.right else Judged(True) for judged in self.steps[:end])
        return Critique(kept, replace(self.answer, why=""))

    def __str__(self) -> str:
        lines = [f"Step {number}: {judged}" for number, judged in enumerate(self.steps, 1)]
        return "\n".join([*lines, f"Final answer: {self.answer}"])


class UnusableCritique(Exception):
    """A text that is no critique of this solution; `reason` is the code that funnels count."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def read_critique(text: str, steps: int) -> Critique:
    """The critique that a text holds, of a solution of so many steps.

    Raises `UnusableCritique`: `unreadable_reply` without a verdict that decides, `bad_step` when steps are missing, out
    of order or not there, `contradiction` when one step is both, or the steps and the answer disagree.
    """
    judged, answers = verdicts(text)
    if not judged:
        raise UnusableCritique("unreadable_reply")
    sides = {(number, one.right) for number, one in judged} | {(0, answer.right) for answer in answers}
    if len(sides) > len({number for number, _ in sides}):
        raise UnusableCritique("contradiction")
    if [number for number, _ in judged] != list(range(1, len(judged) + 1)) or len(judged) > steps:
        raise UnusableCritique("bad_step")
    all_right = all(j.right for _, j in judged)
    if not answers and all_right:
        raise UnusableCritique("unreadable_reply")
    answer = answers[-1] if answers else Judged(False)
    if answer.right != all_right:
        raise UnusableCritique("contradiction")
    if all_right and len(judged) < steps:
        raise UnusableCritique("bad_step")
    return Critique(tuple(j for _, j in judged), answer)


def verdicts(text: str) -> tuple[list[tuple[int, Judged]], list[Judged]]:
    """The verdicts in a text: on steps, with their numbers, and on the answer. Other lines belong to the one before."""
    found: list[tuple[str | None, bool, list[str]]] = []
    for line in text.splitlines():
        if match := _LINE.match(line):
            found.append((match[1], match[2].casefold() in _RIGHT, [match[3]]))
        elif found:
            found[-1][2].append(line)
    judged = [(number, Judged(right, " ".join(" ".join(words).split()))) for number, right, words in found]
    return [(int(n), one) for n, one in judged if n is not None], [one for n, one in judged if n is None]


def all_right(steps: int) -> Critique:
    """The critique of a right solution."""
    return Critique((Judged(True),) * steps, Judged(True))


def solution_block(question: str, solution: str) -> str:
    """A question and a solution with numbered steps, as a critic is shown them."""
    return f"Question:\n{question}\n\nSolution:\n{number_steps(split_steps(solution))}"


def critique_prompt(question: str, solution: str, then_correct: bool = False) -> tuple[Message, ...]:
    """What a critic is asked, in training and in use; with `then_correct` (SCORE, arXiv 2404.17140) also to correct."""
    instruction = CRITICIZE + (THEN_CORRECT if then_correct else "")
    return (Message("user", f"{instruction}\n\n---\n\n{solution_block(question, solution)}"),)


def revise_prompt(asked: tuple[Message, ...], solution: str, critique: str) -> tuple[Message, ...]:
    """The second turn of whoever wrote the solution, in training and in use: the critique of it."""
    return (*asked, Message("assistant", solution), Message("user", REVISE.format(critique=critique)))
