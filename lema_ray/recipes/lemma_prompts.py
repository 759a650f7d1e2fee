"""What the `lemma` recipe asks a corrector: to go on from a wrong step, by a fix or a fresh start, and to smooth that.

The words to begin a doubt with are dealt out evenly here, because a model that may choose from a list always takes the
same ones. Prompts, demonstrations and words are ours.
"""

from __future__ import annotations

from collections.abc import Sequence

from lema_ray.attempts import question_text
from lema_ray.few_shot.mistakes import MISTAKES
from lema_ray.few_shot.restarts import RESTARTS
from lema_ray.recipes.lemma_options import Strategy
from lema_ray.records import Message, Question, Task, content_id
from lema_ray.replies import json_schema
from lema_ray.steps import number_steps

LABELS = {"doubt": "Doubt", "continuation": "Continuation"}
SCHEMA = json_schema(dict.fromkeys(LABELS, "string"))
WORDS = (
    "Wait,",
    "Hmm, let me check that.",
    "Hold on.",
    "Something is off here:",
    "No, that is not right.",
    "Let me recheck the last step.",
    "But that cannot be right:",
    "On second thought,",
    "Hang on, let me look at that again.",
    "I should double-check this.",
    "Oops,",
    "Wait, I think I made a mistake.",
    "Before I go on, let me verify this.",
    "That does not look right.",
)
BASE = """\
A student solves the question below and thinks aloud. The partial solution is what the student has written until now, \
and its last step is wrong. Write on in the student's place, in the first person. First doubt that step, in one to \
three sentences that begin with the words given and say what is wrong with it. {way} Do not repeat the partial \
solution. \
Work out every number that you use{hidden}. End with: The answer is ...
Reply with the fields Doubt and Continuation (in JSON: doubt; continuation), as in these examples."""
WAYS: dict[Strategy, str] = {
    "fix": "Then write that step again, correctly and under the same number, and go on from it to the end.",
    "fresh": "Then leave all of that aside and solve the question from its beginning in a different way, from Step 1.",
}
HIDDEN = "; the reference is for you alone: do not mention it, nor that any result is expected"
SMOOTH = """\
Below are a question, the beginning of a solution, and how the student who wrote it went on: with a doubt about the \
last step, and a continuation. Write the doubt and the continuation again so that everything reads as one person's \
natural train of thought, in the style of the beginning: link the sentences, without lists or headings. Keep the doubt \
and what it says is wrong, every calculation, and the last sentence. Do not write the beginning again.
Reply with the fields Doubt and Continuation (in JSON: doubt; continuation)."""


def doubt_words(attempt_id: str, strategy: Strategy) -> str:
    """The words that this correction's doubt begins with: any of them, but always the same."""
    return WORDS[int(content_id("doubt", attempt_id, strategy), 16) % len(WORDS)]


def continue_prompt(
    question: Question, kept: Sequence[str], strategy: Strategy, reference: str | None, words: str
) -> tuple[Message, ...]:
    """The request to doubt the last of the kept steps and to go on from it."""
    instruction = BASE.format(way=WAYS[strategy], hidden=HIDDEN if reference else "")
    shown = f"Reference Solution:\n{reference}\n\n" if reference else ""
    target = (
        f"Question:\n{question_text(question)}\n\n{shown}Partial Solution:\n{number_steps(kept)}\n\n"
        f"Way: {_WAY_NAMES[strategy]}\nWords: {words}"
    )
    return (Message("user", "\n\n---\n\n".join((instruction, *_examples(question.task, strategy), target))),)


_WAY_NAMES: dict[Strategy, str] = {"fix": "correct this step and go on", "fresh": "start again"}


def _examples(task: Task, strategy: Strategy) -> list[str]:
    if strategy == "fresh":
        return [_example(d.question, d.partial, strategy, d.words, d.doubt, d.solution) for d in RESTARTS[task]]
    made = []
    for number, mistake in enumerate(MISTAKES["math" if task == "math" else "arithmetic"][:3]):
        words = WORDS[2 * number + 2]  # whole sentences, which any explanation can follow
        partial = "\n".join(mistake.attempt.splitlines()[: mistake.wrong_step])
        doubt = f"{words} {mistake.explanation}"
        made.append(_example(mistake.question, partial, strategy, words, doubt, mistake.correction))
    return made


def _example(question: str, partial: str, strategy: Strategy, words: str, doubt: str, continuation: str) -> str:
    asked = f"Question:\n{question}\n\nPartial Solution:\n{partial}\n\nWay: {_WAY_NAMES[strategy]}\nWords: {words}"
    return f"{asked}\n\nDoubt: {doubt}\nContinuation:\n{continuation}"


def smooth_prompt(question: Question, kept: str, doubt: str, rest: str) -> tuple[Message, ...]:
    """The request to rewrite a doubt and a continuation so that they follow naturally on what was kept."""
    target = f"Question:\n{question_text(question)}\n\nBeginning:\n{kept}\n\nDoubt: {doubt}\nContinuation:\n{rest}"
    return (Message("user", f"{SMOOTH}\n\n---\n\n{target}"),)
