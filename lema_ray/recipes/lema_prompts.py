"""What LeMa's corrector is asked, and how its fields are written. Used by `lema` and `self_correction`."""

from __future__ import annotations

from lema_ray.attempts import question_text
from lema_ray.few_shot.mistakes import MISTAKES, Mistake
from lema_ray.records import Message, Question, Task
from lema_ray.replies import json_schema

CORRECT = """\
You check solutions that a student wrote. Each of them reaches a wrong answer. Find the first step that is wrong, \
explain in one to three sentences what is wrong with it, and write the correct solution from that step on, with the \
same step numbers. If the first wrong step is not Step 1, begin with a line of three dots. End with the step \
"The answer is ...".
Reply with the fields Incorrect Step, Explanation and Correct Solution (in JSON: incorrect_step, a number; \
explanation; correct_solution), as in these examples."""
CORRECT_CHOICE = """\
You check answers that a student gave to multiple-choice questions. Each of them chooses wrongly. Say what the \
mistakes in the reasoning are, then write a corrected answer that weighs the choices and ends with the right letter.
Reply with the fields Mistakes and Corrected Answer (in JSON: explanation, correct_solution), as in these examples."""
LABELS = {"incorrect_step": "Incorrect Step", "explanation": "Explanation", "correct_solution": "Correct Solution"}
LABELS_CHOICE = {"explanation": "Mistakes", "correct_solution": "Corrected Answer"}


def labels_for(task: Task) -> dict[str, str]:
    """The fields of a correction and their labels; multiple choice has no step."""
    return LABELS_CHOICE if task == "choice" else LABELS


def reply_schema(task: Task) -> str:
    """The JSON schema of a reply, for endpoints that can enforce one."""
    return json_schema({key: "integer" if key == "incorrect_step" else "string" for key in labels_for(task)})


def mistake_block(question: str, attempt: str, task: Task) -> str:
    """A question and its wrong solution, as demonstrations, the target and training rows show them."""
    return f"Question:\n{question}\n\n{'Original Answer' if task == 'choice' else 'Original Solution'}:\n{attempt}"


def correction_prompt(question: Question, numbered: str) -> tuple[Message, ...]:
    """The corrector's request: the task, four demonstrations, and the wrong solution with numbered steps."""
    task = question.task
    examples = [f"{mistake_block(m.question, m.attempt, task)}\n\n{_shown(m, task)}" for m in MISTAKES[task]]
    target = mistake_block(question_text(question), numbered, task)
    instruction = CORRECT_CHOICE if task == "choice" else CORRECT
    return (Message("user", "\n\n---\n\n".join((instruction, *examples, target))),)


def _shown(mistake: Mistake, task: Task) -> str:
    fields = {"explanation": mistake.explanation, "correct_solution": mistake.correction}
    if mistake.wrong_step is not None:
        dots = "...\n" if mistake.wrong_step > 1 else ""
        fields |= {"incorrect_step": f"Step {mistake.wrong_step}", "correct_solution": dots + mistake.correction}
    return format_fields(fields, task)


def format_fields(fields: dict[str, str], task: Task) -> str:
    """The fields as labelled text, in the paper's order; the solution starts on its own line."""
    lines = []
    for key, label in labels_for(task).items():
        if key in fields:
            lines.append(f"{label}:{chr(10) if key == 'correct_solution' else ' '}{fields[key]}")
    return "\n".join(lines)
