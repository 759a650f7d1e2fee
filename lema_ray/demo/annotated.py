"""A corrector for real questions without a model: it corrects from a data set's own worked solutions.

`server --solutions FILE` puts it behind HTTP in the rule-based teacher's place. Like that one it answers from a
request's text alone: it finds the question, then the first wrong step of the `Original Solution:`, explains it, and
goes on with the worked solution from there. What it says never shows that there is one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from lema_ray.demo import annotated_lemma
from lema_ray.demo.numbered import read_steps
from lema_ray.demo.requests import read_request
from lema_ray.demo.slips import explain, first_slip
from lema_ray.demo.wordings import NO_MISTAKE
from lema_ray.demo.worked import Worked, read_worked
from lema_ray.questions.errors import QuestionError
from lema_ray.questions.fields import question_id
from lema_ray.records import Message

MODEL = "annotated-teacher"
UNKNOWN = "I cannot help with this: I have not learned to solve this question."


class AnnotatedTeacher:
    """The teacher of one file of worked solutions."""

    model = MODEL

    def __init__(self, path: str) -> None:
        """Reads the file. Raises `QuestionError` when it is not there, malformed, or holds no worked solution."""
        self._solutions = read_worked(path)
        if not self._solutions:
            raise QuestionError(f"{path}: no row has a question with a worked solution and an answer")

    def reply(self, messages: Sequence[Message], as_json: bool = False) -> str:
        """The reply to a chat, always the same one. With `as_json` a correction is a JSON object."""
        asked = next((m.content for m in reversed(messages) if m.role == "user"), "")
        if request := read_request(asked):
            worked = self._look_up(request.question)
            return annotated_lemma.answer(request, worked, as_json) if worked else UNKNOWN
        worked, steps = self._find_mistake(asked)
        if worked:
            return _correction(worked, steps, as_json)
        worked = self._find_question(asked)
        return _solution(worked) if worked else UNKNOWN

    def _find_mistake(self, asked: str) -> tuple[Worked | None, list[str]]:
        """The first `Question:` with an `Original Solution:` that is known here; the demonstrations before are not."""
        for block in re.finditer(r"Question:", asked):
            text, mark, attempt = asked[block.end() :].partition("Original Solution:")
            if mark and (worked := self._look_up(text)):
                return worked, read_steps(attempt)
        return None, []

    def _find_question(self, asked: str) -> Worked | None:
        parts = asked.rpartition("Question:")[-1].split("\n\n")
        texts = ("\n\n".join(parts[:end]) for end in range(len(parts), 0, -1))
        return next((worked for text in texts if (worked := self._look_up(text))), None)

    def _look_up(self, text: str) -> Worked | None:
        return self._solutions.get(question_id(text, None))


def _solution(worked: Worked) -> str:
    return "\n".join((*worked.lines, f"The answer is {worked.answer}."))


def _correction(worked: Worked, steps: list[str], as_json: bool) -> str:
    slip = first_slip(worked, steps)
    if slip is None:
        return NO_MISTAKE if steps else UNKNOWN
    number, explanation = slip.step + 1, explain(worked, slip, steps)
    lines = (*worked.lines[slip.start :], f"The answer is {worked.answer}.")
    solution = "\n".join(f"Step {number + i}: {line}" for i, line in enumerate(lines))
    if as_json:
        return json.dumps(dict(incorrect_step=number, explanation=explanation, correct_solution=solution))
    dots = "...\n" if number > 1 else ""
    return f"Incorrect Step: Step {number}\nExplanation: {explanation}\nCorrect Solution:\n{dots}{solution}"
