"""Verdicts on the steps of a solution, by asking a model, in the manner of AutoMathCritique (arXiv 2411.16579).

Kept from the paper: a verdict and a reason for every step, then one for the final answer, and a second turn that shows
the critique to the solver. Request and format are those that critics are trained on (`critiques`), but what they say
is read with more patience here than training data is: a verdict that decides is enough.
"""

from __future__ import annotations

from dataclasses import dataclass

from lema_ray.engines import Generate
from lema_ray.records import Message, Sampling
from lema_ray.self_correction import critiques
from lema_ray.steps import split_steps


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
        prompt = critiques.critique_prompt(question, solution)
        reply = await ask(prompt, Sampling(temperature=0.0, max_tokens=self.max_tokens))
        return None if reply.finish_reason == "length" else read_critique(reply.text, len(split_steps(solution)))


def read_critique(reply: str, steps: int) -> Critique | None:
    """The critique of a solution with so many steps; None without a verdict, or with two that contradict each other."""
    judged, answers = critiques.verdicts(reply)
    wrong = next(((number, one) for number, one in judged if not one.right and 1 <= number <= steps), None)
    finals = {answer.right for answer in answers}
    if len(finals) > 1 or (wrong is None and not finals):
        return None
    if wrong is None:
        return Critique(finals == {False}, reply.strip())
    if finals == {True}:
        return None
    return Critique(True, reply.strip(), wrong[0] - 1, wrong[1].why)


def revise_prompt(messages: tuple[Message, ...], solution: str, critique: Critique) -> tuple[Message, ...]:
    """The second turn: the solution as the solver's own, and the critique of it."""
    return critiques.revise_prompt(messages, solution, critique.text)
