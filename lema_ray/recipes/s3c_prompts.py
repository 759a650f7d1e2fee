"""What `s3c` asks the corrector: to doubt a step in the student's place, given the step that is right; and its reply.

The words that a doubt begins with are dealt out evenly, as for `lemma`. Prompt and example are ours.
"""

from __future__ import annotations

from collections.abc import Sequence

from lema_ray import checks
from lema_ray.attempts import question_text
from lema_ray.mistakes.analysis import SAYS_RIGHT
from lema_ray.recipes.recipe import Rejected
from lema_ray.recipes.trajectory import checked_doubt
from lema_ray.records import Completion, Message, Question
from lema_ray.replies import json_schema, read_fields
from lema_ray.steps import number_steps

REFLECT = """\
A student solves the question below and thinks aloud. The last step of the partial solution is wrong; the right step \
shows how it should go. Write what the student thinks on noticing the mistake: one to three sentences in the first \
person that begin with the words given and say what is wrong with the last step. Do not write the right step itself, \
and do not mention that you were shown one.
Reply with one field, Doubt (in JSON: doubt), as in this example."""
EXAMPLE = """\
Question:
A baker fills 6 trays with 12 rolls each and sells 50 rolls. How many rolls are left?

Partial Solution:
Step 1: There are 6 * 12 = 72 rolls.
Step 2: After the sale there are 72 + 50 = 122 rolls.

Right Step:
After the sale there are 72 - 50 = 22 rolls.

Words: Hold on.

Doubt: Hold on. Rolls that are sold are gone, so I should not have added the 50."""
LABELS = {"doubt": "Doubt"}
SCHEMA = json_schema({"doubt": "string"})


def reflect_prompt(question: Question, shown: Sequence[str], right: str, words: str) -> tuple[Message, ...]:
    """The request to doubt the last of the steps shown; `right` is what should stand there."""
    target = (
        f"Question:\n{question_text(question)}\n\nPartial Solution:\n{number_steps(shown)}\n\n"
        f"Right Step:\n{right.strip()}\n\nWords: {words}"
    )
    return (Message("user", "\n\n---\n\n".join((REFLECT, EXAMPLE, target))),)


async def read_doubt(question: Question, steps: int, reply: Completion) -> str:
    """The doubt in a reply about the last of `steps` steps. Raises `Rejected` when it is none, or tells too much."""
    text = read_fields(reply.text, LABELS).get("doubt")
    if text is None:
        raise Rejected("called_right" if SAYS_RIGHT.search(reply.text) else "unreadable_reply")
    doubt = checked_doubt(text, steps)
    if checks.mentions_reference(doubt, question.text) or "right step" in doubt.casefold():
        raise Rejected("reference_leak")
    return doubt
