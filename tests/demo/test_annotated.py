"""The annotated teacher: equations read from steps, the first wrong step, and what the LeMa recipe makes of it."""

import json
import random
import subprocess
import sys
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lema_ray.attempts import solve_prompt
from lema_ray.config import RecipeConfig
from lema_ray.demo.annotated import MODEL, UNKNOWN, AnnotatedTeacher
from lema_ray.demo.server import ServerOptions, running
from lema_ray.demo.wordings import NO_MISTAKE
from lema_ray.grading.equations import equations_in
from lema_ray.questions.errors import QuestionError
from lema_ray.recipes.lema import Lema
from lema_ray.recipes.lema_prompts import correction_prompt
from lema_ray.records import Attempt, Completion, Grade, GradedAttempt, GradedQuestion, Message, Question, Sampling
from lema_ray.steps import number_steps, split_steps

FARM = Question("farm", "A farm has 6 pens of 15 sheep. It buys 9 more and sells half. How many are left?", "49.5", "t")
CAFE = Question("cafe", "A cafe sells 30 cups at $4 and spends $50 on beans. What does it gain?", "70", "t")
ROWS = (
    {
        "question": FARM.text,
        "answer": "There are 6*15=<<6*15=90>>90 sheep.\nThen 90 + 9 = <<90+9=99>>99 sheep.\n"
        "It keeps 99/2 = <<99/2=49.5>>49.5 sheep.\n#### 49.5",
    },
    {
        "question": CAFE.text,
        "solution": "It takes 30 cups * $4/cup = $<<30*4=120>>120.\nIt gains 120-50=$<<120-50=70>>70.\n#### 70",
        "answer": "70",
    },
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "worked.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return file


@pytest.fixture
def teacher(path: Path) -> AnnotatedTeacher:
    return AnnotatedTeacher(str(path))


def found(text: str) -> list[tuple[str, str, bool]]:
    return [(e.left, e.shown, e.is_true) for e in equations_in(text)]


@pytest.mark.parametrize(
    ("text", "equations"),
    [
        ("so 2 sheets * 80 rooms = 160 sheets", [("2 * 80", "160", True)]),
        ("4 feet x 12 inches/foot = 46 inches", [("4 * 12", "46", False)]),
        ("$1,200 - $200.50 = $999.50, 3+4=8", [("1200 - 200.50", "999.50", True), ("3 + 4", "8", False)]),
        ("48/2 = 24 + 48 = 72", [("48 / 2", "24", True), ("24 + 48", "72", True)]),
        ("10/3 = 3.33 and 10/3 = 3.4", [("10 / 3", "3.33", True), ("10 / 3", "3.4", False)]),
        ("25% of 40 = 10, 2(6 + 12) = 36", [("25% * 40", "10", True), ("2 * (6 + 12)", "36", True)]),
        ("\\(\\frac{1}{3} \\times 18 = 6\\)", [("(1/3) * 18".replace("/", " / "), "6", True)]),
        ("x = 15/3 = 5", [("15 / 3", "5", True)]),
        ("2x + 3 = 15 and y - 3 = 4 and 12^2 = 144 and 1/0 = 7", []),
        ("__import__('os').system('x') = 9**9**9**9 = 5", []),
    ],
)
def test_equations_are_read_and_recalculated(text: str, equations: list[tuple[str, str, bool]]) -> None:
    assert found(text) == equations


@given(st.text(max_size=200) | st.text("0123456789+-*/()=<>% .x$\\", max_size=200))
def test_no_text_breaks_the_reader(text: str) -> None:
    equations_in(text)


@given(st.integers(0, 999), st.sampled_from("+-*"), st.integers(0, 999), st.integers(-3, 3))
def test_an_equation_is_true_when_its_result_is_right(a: int, symbol: str, b: int, slip: int) -> None:
    made = {"+": a + b, "-": a - b, "*": a * b}[symbol]
    (equation,) = equations_in(f"There are {a} {symbol} {b} = {made + slip} left")
    assert equation.value == made and equation.result == Fraction(made + slip)
    assert equation.is_true == (slip == 0)


def asked(question: Question, attempt: str) -> tuple[Message, ...]:
    return correction_prompt(question, number_steps(split_steps(attempt)))


MISTAKES = {
    "arithmetic": (FARM, ["6 * 15 = 80 sheep.", "80 + 9 = 89.", "The answer is 89."], 1, "6 * 15 is 90, not 80."),
    "left out": (FARM, ["There are 6*15=90.", "It keeps 90/2=45.", "The answer is 45."], 2, "90 / 2 = 45"),
    "wrong operation": (CAFE, ["30*4=120 dollars.", "120+50=170.", "A: 170"], 2, "have to be subtracted"),
    "too early": (CAFE, ["It takes 30*4=120 dollars.", "The answer is 120."], 2, "120 - 50 = 70 still has to be"),
    "not taken over": (CAFE, ["30*4=120.", "120-50=70.", "The answer is 17."], 3, "The steps lead to 70, but"),
    "from nowhere": (CAFE, ["It takes 120.", "There are 33 guests.", "The answer is 33."], 2, "The number 33 has no"),
    "other order": (FARM, ["9/2=4.5 and 90/2=45.", "45+4.5=49.5.", "The answer is 50."], 3, "lead to 49.5, but"),
}


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize("kind", MISTAKES)
async def test_the_first_wrong_step_is_found_explained_and_repaired(
    teacher: AnnotatedTeacher, kind: str, as_json: bool
) -> None:
    question, steps, number, words = MISTAKES[kind]

    async def corrector(messages: Sequence[Message], sampling: Sampling) -> Completion:
        return Completion(teacher.reply(messages, as_json), "stop", MODEL, 1, 1)

    attempt = GradedAttempt(Attempt("a", "\n".join(steps), "student"), Grade("wrong", None))
    outcome = await Lema(RecipeConfig()).correct(GradedQuestion(question, (attempt,)), corrector, None)
    assert not outcome.drops
    (correction,) = outcome.corrections
    assert correction.wrong_step == number - 1
    assert words in correction.explanation
    assert correction.revision.splitlines()[: number - 1] == steps[: number - 1]
    assert correction.revision.endswith(f"The answer is {question.reference}.")
    assert not {"reference", "annotated", "worked solution"} & set(correction.explanation.lower().split())


def test_only_what_the_kept_steps_lack_is_written(teacher: AnnotatedTeacher) -> None:
    reply = teacher.reply(asked(FARM, "There are 6*15=90 sheep.\nWith 9 more, 90+9=98.\nThe answer is 98."))
    assert reply.partition("Correct Solution:\n")[2].splitlines() == [
        "...",
        "Step 2: Then 90 + 9 = 99 sheep.",
        "Step 3: It keeps 99/2 = 49.5 sheep.",
        "Step 4: The answer is 49.5.",
    ]


def test_right_solutions_unknown_and_plain_questions(teacher: AnnotatedTeacher) -> None:
    assert teacher.reply(asked(CAFE, "30*4=120\n120-50=70\nThe answer is 70.")) == NO_MISTAKE
    assert teacher.reply(asked(Question("x", "Who?", "1", "t"), "1+1=3\nThe answer is 3.")) == UNKNOWN
    assert teacher.reply(solve_prompt(CAFE)).splitlines() == [
        "It takes 30 cups * $4/cup = $120.",
        "It gains 120-50=$70.",
        "The answer is 70.",
    ]


def test_the_server_serves_it_instead_of_the_rule_based_one(path: Path) -> None:
    with running(ServerOptions(solutions=str(path))) as url:
        client = openai.OpenAI(base_url=url, api_key="none", max_retries=0)
        assert [m.id for m in client.models.list()] == [MODEL]
        reply = client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": CAFE.text}])
    assert reply.model == MODEL and (reply.choices[0].message.content or "").endswith("The answer is 70.")


def test_a_file_without_solutions_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bare.jsonl").write_text('{"question": "Who?", "answer": "1"}\n')
    with pytest.raises(QuestionError, match="no row has a question with a worked solution"):
        AnnotatedTeacher(str(tmp_path / "bare.jsonl"))
    command = [sys.executable, "-m", "lema_ray.demo.server", "--solutions", str(tmp_path / "missing.jsonl")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1 and "no such file" in ended.stderr and "Traceback" not in ended.stderr


@pytest.mark.shared_data
async def test_real_wrong_solutions_become_corrections(shared_data: Path) -> None:
    teacher = AnnotatedTeacher(str(shared_data / "gsm8k_test_a.jsonl"))
    rows = [json.loads(line) for line in (shared_data / "gsm8k_model_solutions_a.jsonl").open(encoding="utf-8")]
    sample = random.Random(0).sample([row for row in rows if not row["is_correct"]], 150)

    async def corrector(messages: Sequence[Message], sampling: Sampling) -> Completion:
        return Completion(teacher.reply(messages, sampling.json_schema is not None), "stop", MODEL, 1, 1)

    accepted, starts = 0, 0
    for row in sample:
        question = Question(row["id"], row["question"], row["reference"], "t")
        attempt = GradedAttempt(Attempt("a", row["solution"], row["model"]), Grade("wrong", None))
        outcome = await Lema(RecipeConfig()).correct(GradedQuestion(question, (attempt,)), corrector, None)
        accepted += len(outcome.corrections)
        starts += sum(c.wrong_step == 0 for c in outcome.corrections)
    # The right answer is known, so that nearly all pass is no feat; that many mistakes come late is what LeMa is about.
    assert accepted >= 0.97 * len(sample)
    assert starts < 0.6 * len(sample)


@pytest.mark.shared_data
def test_the_first_wrong_step_agrees_with_people_on_processbench(shared_data: Path) -> None:
    from lema_ray.demo.slips import first_slip
    from lema_ray.demo.worked import read_worked
    from lema_ray.questions.fields import question_id

    worked = read_worked(str(shared_data / "gsm8k_test_a.jsonl"))
    lines = (shared_data / "errloc_processbench_a.jsonl").open(encoding="utf-8")
    rows = [row for row in map(json.loads, lines) if row["source"] == "ProcessBench/gsm8k"]
    hits = {True: [0, 0], False: [0, 0]}
    for row in rows:
        slip = first_slip(worked[question_id(row["problem"], None)], row["steps"])
        tally = hits[row["label"] >= 0]
        tally[0] += (slip.step if slip else -1) == row["label"]
        tally[1] += 1
    assert (hits[True][1], hits[False][1]) == (116, 102)
    assert hits[True][0] / 116 > 0.4 and hits[False][0] / 102 > 0.85
    print(f"first wrong step {hits[True][0]}/116, right ones {hits[False][0]}/102")
