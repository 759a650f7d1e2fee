"""What a critic is asked who is shown a reference: verdicts that the recipes `critique` and `score` train on.

The reply has the format of `self_correction.critiques`; whoever is trained on it is asked without the reference.
"""

from __future__ import annotations

from lema_ray.attempts import question_text
from lema_ray.few_shot.mistakes import MISTAKES, Mistake
from lema_ray.records import Message, Question, Task
from lema_ray.self_correction.critiques import CRITICIZE, Critique, Judged, solution_block

HIDDEN = (
    "The reference is for you alone: do not mention it, nor that any result is expected. Do not solve the question."
)
TO_THE_END = """\
Below are a question and a solution to it in numbered steps, which is wrong. Go through the steps in order. For each, \
from the first to the last, write one line, "Step 1: right" or "Step 1: wrong", and after a dash the reason in one \
sentence. End with the line "Final answer: wrong - It should be ..." and the right answer."""
BUILDS_ON = "It builds on the wrong step before."


def critic_prompt(question: Question, solution: str, reference: str, to_the_end: bool = False) -> tuple[Message, ...]:
    """The request for verdicts on a wrong solution, up to the first wrong step or `to_the_end`."""
    task: Task = "math" if question.task == "math" else "arithmetic"
    instruction = f"{TO_THE_END if to_the_end else CRITICIZE} {HIDDEN}"
    examples = (
        f"{solution_block(m.question, m.attempt)}\n\nCritique:\n{_shown(m, to_the_end)}" for m in MISTAKES[task]
    )
    asked = f"{question_text(question)}\n\nReference Solution:\n{reference}"
    return (Message("user", "\n\n---\n\n".join((instruction, *examples, solution_block(asked, solution)))),)


def _shown(mistake: Mistake, to_the_end: bool) -> str:
    wrong, lines = mistake.wrong_step or 1, len(mistake.attempt.splitlines())
    judged = [Judged(True)] * (wrong - 1) + [Judged(False, mistake.explanation)]
    if not to_the_end:
        return str(Critique(tuple(judged), Judged(False)))
    answer = mistake.correction.splitlines()[-1].partition("The answer is ")[2]
    rest = [Judged(False, BUILDS_ON)] * (lines - wrong)
    return str(Critique((*judged, *rest), Judged(False, f"It should be {answer}")))
