"""Verdicts on the steps of a solution, by asking a model, in the manner of AutoMathCritique (arXiv 2411.16579).

Kept from the paper: a verdict and a reason for every step, then one for the final answer, and a second turn that shows
the critique to the solver. A trained critic is a `Critic` like this one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from lema_ray.engines import Generate
from lema_ray.records import Message, Sampling
from lema_ray.steps import number_steps, split_steps

CRITICISE = """\
Below are a question and a solution to it in numbered steps. Go through the steps in order. For each write one line, \
"Step 1: right" or "Step 1: wrong", and after a dash the reason in one sentence. Stop at the first step that is wrong. \
End with the line "Final answer: right" or "Final answer: wrong"."""
REVISE = """\
Somebody looked at your solution and wrote this:

{critique}

Solve the question again. Use what is justified in these remarks, and end in the same form as before."""
_STEP = re.compile(
    r"(?im)^\W{0,5}step\s{1,3}(\d{1,4})\W{1,5}(right|correct|wrong|incorrect)\b[^\w\n]{0,5}([^\n]{0,2000})"
)
_FINAL = re.compile(r"(?i)\bfinal answer\W{1,10}(?:is\s)?(right|correct|wrong|incorrect)\b")
_WRONG = ("wrong", "incorrect")


@dataclass(frozen=True, slots=True)
class Critique:
    """What a critic says of a solution; `wrong_step` (0-based) where it names one. `text` is shown to the solver."""

    wrong: bool
    text: str
    wrong_step: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class AskedCritic:
    """A `Critic` that asks the adviser, once, greedily; the paper allows a critique 1,536 tokens."""

    max_tokens: int = 1536

    async def __call__(self, question: str, solution: str, ask: Generate) -> Critique | None:
        """The critique of the reply; None when it was cut off or gives no verdict."""
        steps = number_steps(split_steps(solution))
        shown = f"{CRITICISE}\n\n---\n\nQuestion:\n{question}\n\nSolution:\n{steps}"
        reply = await ask((Message("user", shown),), Sampling(temperature=0.0, max_tokens=self.max_tokens))
        return None if reply.finish_reason == "length" else read_critique(reply.text, len(split_steps(solution)))


def read_critique(reply: str, steps: int) -> Critique | None:
    """The critique of a solution with so many steps; None without a verdict, or with two that contradict each other."""
    wrong = next((m for m in _STEP.finditer(reply) if m[2].lower() in _WRONG and 1 <= int(m[1]) <= steps), None)
    finals = {m[1].lower() in _WRONG for m in _FINAL.finditer(reply)}
    if len(finals) > 1 or (wrong is None and not finals):
        return None
    if wrong is None:
        return Critique(finals == {True}, reply.strip())
    if finals == {False}:
        return None
    return Critique(True, reply.strip(), int(wrong[1]) - 1, wrong[3].strip())


def revise_prompt(messages: tuple[Message, ...], solution: str, critique: Critique) -> tuple[Message, ...]:
    """The second turn: the solution as the solver's own, and the critique of it."""
    return (*messages, Message("assistant", solution), Message("user", REVISE.format(critique=critique.text)))
