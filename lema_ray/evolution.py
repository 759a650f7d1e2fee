"""Correction-centric evolution (LeMa, arXiv 2310.20689 v4, section 4.2): new questions like those worth correcting.

Seeds are drawn from the questions that produced accepted corrections, with multiplicity: models fail on them and the
corrector succeeds, so they are moderately hard. A model writes one new question per seed and answers it three times;
the majority answer becomes the reference, and a question without one is dropped. `on_ray.evolve` runs this over a
collected run; the result is a questions file for a second run.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import accumulate

from lema_ray.attempts import attempt_question, question_text
from lema_ray.config import SamplingConfig
from lema_ray.engines import Generate, RequestRefused
from lema_ray.grading import extract_answer, grade
from lema_ray.records import Dropped, GradedQuestion, Message, Question, content_id
from lema_ray.replies import read_fields

STAGE = "evolution"
"""Where its drops come from, and the source of its questions."""

WRITE = """\
You teach mathematics and write exercises. Below is a question from your collection. Write a new one that trains the \
same skill at about the same difficulty, with another story, other numbers and other wording. It must make sense, give \
all that is needed, use no unknown symbols that it does not explain, and have one answer, which is a number.
Reply with one field, Created Question.

Given Question:
{question}"""


def draw_seeds(weights: Sequence[tuple[str, int]], count: int, seed: int) -> list[str]:
    """`count` question ids drawn with replacement, each as likely as its number of accepted corrections."""
    totals = list(accumulate(weight for _, weight in weights))
    return random.Random(seed).choices([question_id for question_id, _ in weights], cum_weights=totals, k=count)


def correction_counts(rows: Iterable[GradedQuestion]) -> list[tuple[str, int]]:
    """(question id, accepted corrections) of every question that has some."""
    return [(row.question.id, len(row.corrections)) for row in rows if row.corrections]


def draw_of(question: Question, number: int) -> GradedQuestion:
    """A seed as it was drawn for the `number`-th time: a row of its own, without what happened to the question."""
    return GradedQuestion(replace(question, id=content_id(STAGE, question.id, str(number))))


async def evolve_question(
    seed: GradedQuestion, generate: Generate, *, sampling: SamplingConfig, answers: int = 3
) -> GradedQuestion:
    """The new question, its answers as attempts and their majority as reference; or the seed with a `Dropped`.

    The row keeps the id of its draw; a questions file gives the new question the id of its content.
    """
    request = sampling.with_seed(int(content_id(seed.question.id, seed.question.text), 16) % 2**31)
    try:
        reply = await generate((Message("user", WRITE.format(question=question_text(seed.question))),), request)
    except RequestRefused as refusal:
        return replace(seed, drops=(refusal.dropped(STAGE, seed.question.id),))
    text = read_fields(reply.text, {"question": "Created Question"}).get("question", "")
    if not text or text == seed.question.text:
        return replace(seed, drops=(Dropped.of(STAGE, seed.question.id, "unreadable_reply", reply),))
    question = Question(seed.question.id, text, "", STAGE, seed.question.task, level=seed.question.level)
    answered = await attempt_question(
        GradedQuestion(question), generate, model=reply.model, samples=answers, sampling=sampling, origin="written"
    )
    majority = majority_answer([g.attempt.text for g in answered.attempts], question)
    if majority is None:
        return replace(seed, drops=(Dropped.of(STAGE, seed.question.id, "no_majority", reply), *answered.drops))
    reference, solution = majority
    return replace(answered, question=replace(question, reference=reference, solution=solution))


def majority_answer(texts: Sequence[str], question: Question) -> tuple[str, str] | None:
    """(answer, first solution that reaches it) when more than half of all solutions agree; answers agree by grading."""
    groups: list[list[tuple[str, str]]] = []
    for text in texts:
        answer = extract_answer(text, question.task).answer
        if answer is None:
            continue
        for group in groups:
            if grade(text, group[0][0], task=question.task).verdict == "right":
                group.append((answer, text))
                break
        else:
            groups.append([(answer, text)])
    largest = max(groups, key=len, default=[])
    return largest[0] if 2 * len(largest) > len(texts) else None
