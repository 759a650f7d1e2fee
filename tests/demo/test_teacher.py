"""The teacher: solves, finds every kind of mistake that is put in, repairs it, and admits what it cannot do."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lema_ray.demo.diagnosis import diagnose, read_steps
from lema_ray.demo.grammar import read_story
from lema_ray.demo.rules import reply
from lema_ray.demo.word_problems import generate
from lema_ray.demo.wordings import CANNOT, NO_MISTAKE
from lema_ray.records import Message

QUESTION = (
    "Ana has 40 coins. Ana buys 12 more coins. Ben is 31 years old. Ana loses 5 coins."
    " Overnight the number of coins doubles. How many coins does Ana have now?"
)
RIGHT = (
    "Step 1: Ana buys 12 more, so 40 + 12 = 52 coins.",
    "Step 2: Ana loses 5, so 52 - 5 = 47 coins.",
    "Step 3: The number doubles, so 47 * 2 = 94 coins.",
    "Step 4: The answer is 94.",
)
DEMONSTRATION = "Question:\nTom has 3 pens.\n\nOriginal Solution:\nStep 1: 3 + 1 = 5\n\nIncorrect Step: Step 1\n\n"


def ask(question: str, attempt: str, **options: bool) -> str:
    prompt = f"Find the mistake.\n\n{DEMONSTRATION}Question:\n{question}\n\nOriginal Solution:\n{attempt}\n\nReply now."
    return reply([Message("system", "You correct."), Message("user", prompt)], **options)


@pytest.mark.parametrize(
    ("step", "line", "kind"),
    [
        (1, "Step 1: Ana buys 12 more, so 40 + 12 = 53 coins.", "arithmetic"),
        (2, "Step 2: Ana loses 5, so 52 + 5 = 57 coins.", "operation"),
        (2, "Step 2: Ana loses 6, so 52 - 6 = 46 coins.", "operand"),
        (2, "Step 2: Ana loses 5, so 40 - 5 = 35 coins.", "carried"),
        (2, "Step 2: The number doubles, so 52 * 2 = 104 coins.", "missed"),
        (2, "Step 2: Ben is 31, so 52 + 31 = 83 coins.", "distraction"),
        (3, "Step 3: The answer is 47.", "missed"),
        (4, "Step 4: The answer is 49.", "answer"),
        (4, "Step 4: One more makes 94 + 1 = 95 coins.", "extra"),
    ],
)
def test_each_kind_of_mistake_is_found_explained_and_repaired(step: int, line: str, kind: str) -> None:
    attempt = "\n".join([*RIGHT[: step - 1], line])
    story = read_story(QUESTION)
    assert story
    diagnosis = diagnose(story, read_steps(attempt))
    assert diagnosis and (diagnosis.kind, diagnosis.step.number) == (kind, step)

    fields = json.loads(ask(QUESTION, attempt, as_json=True))
    assert fields["incorrect_step"] == step
    assert not re.search(r"None|[{}]", fields["explanation"])
    assert fields["correct_solution"].splitlines()[-1].endswith("The answer is 94.")
    kept = attempt.splitlines()[: step - 1]
    assert [*kept, *fields["correct_solution"].splitlines()][:3] == list(RIGHT[:3])


def test_plain_text_has_the_three_fields_and_dots_after_a_kept_step() -> None:
    text = ask(QUESTION, "\n".join([RIGHT[0], RIGHT[1].replace("47", "48"), "Step 3: The answer is 48."]))
    label, explanation, heading, *solution = text.splitlines()
    assert label == "Incorrect Step: Step 2"
    assert explanation.startswith("Explanation: ") and "47" in explanation
    assert heading == "Correct Solution:"
    assert solution == ["...", *RIGHT[1:]]
    first = ask(QUESTION, "Step 1: 40 + 12 = 51\nStep 2: The answer is 51.").splitlines()
    assert first[3:] == list(RIGHT)


@given(seed=st.integers(0, 10**6), place=st.integers(0, 9), off=st.integers(-9, 9).filter(bool), number=st.booleans())
def test_a_changed_result_is_found_where_it_was_changed(seed: int, place: int, off: int, number: bool) -> None:
    problem = next(generate(1, seed))
    place %= len(problem.story.changes)
    lines = problem.story.solution.splitlines()
    lines[place] = re.sub(r"= (\d+)", lambda m: f"= {int(m[1]) + off}", lines[place])
    if number:
        lines[-1] = f"Step {len(lines)}: {lines[-1]}"
    fields = json.loads(ask(problem.question.text, "\n".join(lines), as_json=True))
    assert fields["incorrect_step"] == place + 1
    revision = fields["correct_solution"]
    assert revision.splitlines()[0] == problem.story.step(place, place + 1)
    assert revision.endswith(f"The answer is {problem.question.reference}.")


@given(st.text(max_size=300))
def test_any_attempt_gets_a_reply(attempt: str) -> None:
    assert ask(QUESTION, attempt)


def test_it_solves_a_plain_question_and_says_what_it_cannot_do() -> None:
    asked = [Message("user", f"{QUESTION}\n\nSolve this step by step."), Message("assistant", "")]
    assert reply(asked).splitlines() == [*RIGHT[:3], "The answer is 94."]
    assert reply([Message("user", "Write a poem about coins.")]) == CANNOT
    assert reply([]) == CANNOT
    assert ask("A train leaves at noon. When does it arrive?", "Step 1: 1 + 1 = 2") == CANNOT
    assert ask(QUESTION, "\n".join(RIGHT)) == NO_MISTAKE


def test_the_error_rate_spoils_about_that_share_of_replies() -> None:
    problems = list(generate(300, 7))
    replies = [reply([Message("user", p.question.text)], error_rate=0.3) for p in problems]
    wrong = sum(not r.endswith(f"is {p.question.reference}.") for r, p in zip(replies, problems, strict=True))
    assert 60 < wrong < 120
