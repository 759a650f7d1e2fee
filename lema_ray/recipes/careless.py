"""What a stronger model is asked when it is to err on purpose: which type of mistake, and in what words.

Types are drawn per question (LEMMA, arXiv 2503.17439, section 3), from its own mistakes and the data set's together.
Used by `injection`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from lema_ray.attempts import question_text
from lema_ray.few_shot.careless import CARELESS, Careless
from lema_ray.mistakes.taxonomy import ErrorType, Taxonomy
from lema_ray.records import Message, Question
from lema_ray.replies import json_schema

CARELESSLY = """\
You write wrong solutions that other people learn to spot. Solve the question below as a careless student would who \
makes one mistake, of this type: {name} ({meaning}). Make it in one step, do not notice it, and go on from it to the \
end, so that the final answer is wrong. Nothing in the solution may hint at the mistake. Write one step a line as \
"Step 1: ...", and end with: The answer is ...
Reply with the fields Wrong Solution, Wrong Step and Explanation (in JSON: solution; wrong_step, a number; \
explanation)."""
LABELS = {"solution": "Wrong Solution", "wrong_step": "Wrong Step", "explanation": "Explanation"}
SCHEMA = json_schema({"solution": "string", "wrong_step": "integer", "explanation": "string"})


def type_shares(own: Sequence[str], prior: Mapping[str, float], weight: float, taxonomy: Taxonomy) -> dict[str, float]:
    """How likely each type that can be made on purpose is for a question with mistakes of the types `own`.

    (1 - weight) x the question's own shares + weight x the data set's, over injectable types, summing to 1.
    """
    weight = weight if own else 1.0
    counts = Counter(own)
    mixed = {
        t.code: (1 - weight) * counts[t.code] / max(len(own), 1) + weight * prior.get(t.code, 0.0)
        for t in taxonomy.types
        if t.inject
    }
    total = sum(mixed.values())
    return {code: share / total for code, share in mixed.items() if share > 0} if total else {}


def injection_prompt(question: Question, kind: ErrorType) -> tuple[Message, ...]:
    """The request for one wrong solution with a mistake of one type."""
    instruction = CARELESSLY.format(name=kind.name, meaning=kind.meaning)
    examples = [f"Question:\n{c.question}\n\n{_shown(c)}" for c in CARELESS.get(kind.code, ())]
    solution = f"\n\nReference Solution:\n{question.solution}" if question.solution else ""
    target = f"Question:\n{question_text(question)}{solution}\n\nMistake To Make: {kind.name}"
    return (Message("user", "\n\n---\n\n".join((instruction, *examples, target))),)


def _shown(careless: Careless) -> str:
    wrong = f"Wrong Solution:\n{careless.solution}\nWrong Step: {careless.wrong_step}"
    return f"{wrong}\nExplanation: {careless.explanation}"
