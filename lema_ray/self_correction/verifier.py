"""How likely a solution is wrong, by asking a model, and by the reference where that is known (evaluation only).

The prompted and the oracle verifier of SCORE (arXiv 2404.17140, section 6 of its pipeline); a trained one is a
`Verifier` like these.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from lema_ray.engines import Generate
from lema_ray.records import Message, Sampling

VERIFY = """\
Below are a question and a solution to it. How likely is it that the final answer of the solution is wrong? Work \
through it before you decide, then end with one line: Wrong: a number from 0 (surely right) to 100 (surely wrong)."""
_WRONG = re.compile(r"(?i)\bwrong\W{1,10}(\d{1,3}(?:\.\d{1,6})?)\s{0,2}(%)?")


@dataclass(frozen=True, slots=True)
class AskedVerifier:
    """A `Verifier` that asks the adviser, once, greedily."""

    max_tokens: int = 512

    async def __call__(self, question: str, solution: str, ask: Generate) -> float | None:
        """The probability that the reply ends in."""
        shown = f"{VERIFY}\n\n---\n\nQuestion:\n{question}\n\nSolution:\n{solution.strip()}"
        reply = await ask((Message("user", shown),), Sampling(temperature=0.0, max_tokens=self.max_tokens))
        return read_probability(reply.text)


@dataclass(frozen=True, slots=True)
class OracleVerifier:
    """A `Verifier` that knows the reference: what could be done if one knew when to doubt. Evaluation only."""

    right: Callable[[str], Awaitable[bool]]

    async def __call__(self, question: str, solution: str, ask: Generate) -> float:
        """0 or 1."""
        return 0.0 if await self.right(solution) else 1.0


def read_probability(reply: str) -> float | None:
    """The last probability that a reply states, 0 to 1; below one it may be written as a share."""
    stated = list(_WRONG.finditer(reply))
    if not stated:
        return None
    found = stated[-1]
    value = float(found[1])
    share = value if value <= 1 and "." in found[1] and not found[2] else value / 100
    return share if share <= 1 else None
