"""LeMa: learning from mistakes (arXiv 2310.20689 v4). One corrector call per mistake; corrections are extra SFT rows.

Kept from the paper: the corrector sees the question and the wrong solution, not the reference; it names the first
wrong step, explains it, and solves on from there (section 2.1); a correction stays when its final answer is right; the
wrong solution is in the prompt of the training row and never a target (section 2.2). Multiple choice has no steps.
Ours: structured output, several tries, and stricter checks (`bad_step`, `no_change`, `prefix_changed`), counted apart
so that the paper's own yield can be told. Left out: nothing at this stage; evolution is `lema_ray.evolution`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from lema_ray import checks
from lema_ray.attempts import question_text
from lema_ray.config import ConfigError, RecipeConfig
from lema_ray.engines import Generate
from lema_ray.few_shot.mistakes import MISTAKES, Mistake
from lema_ray.mistakes.analysis import SAYS_RIGHT
from lema_ray.recipes.asking import ask
from lema_ray.recipes.recipe import Outcome, Rejected, mistakes
from lema_ray.recipes.rows import corrected_attempt, row_of
from lema_ray.recipes.step_labels import labelled_steps, written_as
from lema_ray.records import (
    Attempt,
    Completion,
    Correction,
    Dropped,
    GradedQuestion,
    Message,
    Question,
    Span,
    Task,
    TrainingExample,
    content_id,
)
from lema_ray.replies import json_schema, read_fields
from lema_ray.steps import join_steps, number_steps, split_steps

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
LEARN = "This solution is wrong. Name the first wrong step, explain the mistake, and solve it correctly from there."
LEARN_CHOICE = "This answer is wrong. Explain the mistakes in it, then give the corrected answer."

LABELS = {"incorrect_step": "Incorrect Step", "explanation": "Explanation", "correct_solution": "Correct Solution"}
LABELS_CHOICE = {"explanation": "Mistakes", "correct_solution": "Corrected Answer"}
PARTS = {"step": "incorrect_step", "explanation": "explanation", "solution": "correct_solution"}


def labels_for(task: Task) -> dict[str, str]:
    """The fields of a correction and their labels; multiple choice has no step."""
    return LABELS_CHOICE if task == "choice" else LABELS


def reply_schema(task: Task) -> str:
    """The JSON schema of a reply, for endpoints that can enforce one."""
    return json_schema({key: "integer" if key == "incorrect_step" else "string" for key in labels_for(task)})


def mistake_block(question: str, attempt: str, task: Task) -> str:
    """A question and its wrong solution, as demonstrations, the target and training rows show them."""
    return f"Question:\n{question}\n\n{'Original Answer' if task == 'choice' else 'Original Solution'}:\n{attempt}"


def learn_prompt(question: Question, solution: str) -> tuple[Message, ...]:
    """The request that training rows teach to answer, and that a trained model is asked to correct itself with."""
    choice = question.task == "choice"
    shown = solution.strip() if choice else number_steps(split_steps(solution))
    block = mistake_block(question_text(question), shown, question.task)
    return (Message("user", f"{block}\n\n{LEARN_CHOICE if choice else LEARN}"),)


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


@dataclass(frozen=True)
class Lema:
    """The recipe. Options: `parts`, the fields of a correction to learn (default all: step, explanation, solution)."""

    config: RecipeConfig
    name: str = "lema"

    def __post_init__(self) -> None:
        unknown = set(self.config.options) - {"parts"} | set(self.parts) - set(PARTS)
        if unknown:
            raise ConfigError(
                f"recipe lema: unknown {', '.join(sorted(unknown))}; options.parts takes {', '.join(PARTS)}"
            )

    @property
    def parts(self) -> Sequence[str]:
        """The fields of a correction that training rows hold."""
        return tuple(self.config.options.get("parts", PARTS))

    def preview(self, question: Question, solution: str) -> tuple[Message, ...]:
        """The request for one correction."""
        return correction_prompt(question, number_steps(split_steps(solution)))

    def most_requests(self, samples: int) -> int:
        """One for each try at each mistake."""
        return min(self.config.corrections_per_question, samples) * self.config.tries

    async def correct(self, graded: GradedQuestion, corrector: Generate, student: Generate | None) -> Outcome:
        """One correction for each of the question's distinct mistakes."""
        question, chosen = graded.question, mistakes(graded, self.config)
        return Outcome.gathered(await asyncio.gather(*(self._correct_attempt(question, a, corrector) for a in chosen)))

    async def _correct_attempt(
        self, question: Question, attempt: Attempt, corrector: Generate
    ) -> list[Correction | Dropped]:
        made: list[Correction | Dropped] = []
        for attempt_try in range(self.config.tries):
            made.append(await self._try(question, attempt, corrector, attempt_try))
            if isinstance(made[-1], Correction):
                break
        return made

    async def _try(
        self, question: Question, attempt: Attempt, corrector: Generate, attempt_try: int
    ) -> Correction | Dropped:
        steps = split_steps(attempt.text)
        numbered = attempt.text.strip() if question.task == "choice" else number_steps(steps)
        sampling = self.config.sampling.for_try(attempt_try, attempt.id)
        sampling = replace(sampling, json_schema=reply_schema(question.task))
        read = partial(self._accept, question, attempt, steps)
        made = await ask(corrector, correction_prompt(question, numbered), sampling, "corrections", attempt.id, read)
        return made if isinstance(made, Dropped) else made[0]

    async def _accept(self, question: Question, attempt: Attempt, steps: list[str], reply: Completion) -> Correction:
        fields = read_fields(reply.text, labels_for(question.task))
        if set(fields) != set(labels_for(question.task)):
            raise Rejected("called_right" if not fields and SAYS_RIGHT.search(reply.text) else "unreadable_reply")
        wrong_step, revision = None, fields["correct_solution"]
        if question.task != "choice":
            wrong_step, revision, fields = _join_to_attempt(fields, steps)
        if not checks.differs(revision, attempt.text):
            raise Rejected("no_change")
        grade = await checks.grade_revision(revision, question)
        if grade.verdict != "right":
            raise Rejected("wrong_answer" if grade.verdict == "wrong" else "unsure_answer")
        return Correction(
            id=content_id(self.name, attempt.id, reply.text),
            recipe=self.name,
            attempt_id=attempt.id,
            explanation=fields["explanation"],
            revision=revision,
            wrong_step=wrong_step,
            fields=fields,
            checks=("step_exists", "prefix_kept", "differs", "answer_right"),
            model=reply.model,
            prompt_tokens=reply.prompt_tokens,
            completion_tokens=reply.completion_tokens,
            cost=reply.cost,
        )

    def to_examples(self, graded: GradedQuestion, correction: Correction) -> list[TrainingExample]:
        """One row: the wrong solution in the prompt, the chosen parts of the correction as the target."""
        question = graded.question
        attempt = corrected_attempt(graded, correction)
        keys = {PARTS[part] for part in self.parts}
        target = format_fields({k: v for k, v in correction.fields.items() if k in keys}, question.task)
        prompt = learn_prompt(question, attempt.text)
        return [row_of(graded, correction, (Span(target),), self.parts, prompt)]


def _join_to_attempt(fields: dict[str, str], steps: list[str]) -> tuple[int, str, dict[str, str]]:
    """The wrong step (0-based), the whole revision, and the fields in the paper's layout. Raises `Rejected`."""
    number = re.search(r"\d+", fields["incorrect_step"])
    wrong = int(number.group()) - 1 if number else -1
    if not checks.step_exists(wrong, steps):
        raise Rejected("bad_step")
    written = labelled_steps(fields["correct_solution"], first=wrong + 1)
    if not written or written[0][0] > wrong + 1:
        raise Rejected("bad_step")
    if not checks.keeps_prefix([text for label, text in written if label <= wrong], steps):
        raise Rejected("prefix_changed")
    corrected = [text for label, text in written if label > wrong]
    numbered = "\n".join(f"Step {wrong + 1 + i}: {text}" for i, text in enumerate(corrected))
    layout = {
        "incorrect_step": f"Step {wrong + 1}",
        "explanation": fields["explanation"],
        "correct_solution": ("...\n" if wrong > 0 else "") + numbered,
    }
    kept = join_steps(steps[:wrong]).rstrip()
    written_on = written_as(steps, corrected, wrong + 1)
    return wrong, "\n".join((kept, written_on)) if kept else written_on, layout
