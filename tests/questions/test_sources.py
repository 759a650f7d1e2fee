"""Every named source reads its published forms; the field map says what is missing and what is there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from lema_ray.config import SourceConfig
from lema_ray.questions import NAMED, QuestionError, read_questions
from lema_ray.records import Dropped, Question

ASDIV = """<?xml version="1.0" encoding="UTF-8"?>
<Machine-Reading-Corpus-File><ProblemSet>
<Problem ID="n-1" Grade="1" Source="http://x"><Body>Seven red apples and two green apples are in a basket.</Body>
<Question>How many apples are there?</Question><Solution-Type>Addition</Solution-Type>
<Answer>9 (apples)</Answer><Formula>7+2=9</Formula></Problem>
<Problem ID="n-2" Grade="4"><Body>A rope is 3.5 m (or so)</Body><Question>How long is half of it?</Question>
<Answer>1.75 (m) (meters)</Answer></Problem>
<Problem ID="n-3" Grade="6"><Body>Two numbers add up to 5.</Body><Question>Which?</Question>
<Answer>2; 3</Answer></Problem>
<Problem ID="n-4" Grade="6"><Body>The race began at 7.</Body><Question>When did it end?</Question>
<Answer>7:25 (a.m.)</Answer></Problem>
<Problem ID="n-5" Grade="5"><Body>A cake.</Body><Question>What part is left?</Question><Answer>1/3</Answer></Problem>
</ProblemSet></Machine-Reading-Corpus-File>
"""


def write(folder: Path, name: str, rows: list[dict[str, Any]]) -> str:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def read(source: str, **settings: Any) -> list[Question | Dropped]:
    return [item for _, item in read_questions(SourceConfig(source=source, **settings))]


def one(source: str, path: str, **settings: Any) -> Question:
    (item,) = read(source, path=path, **settings)
    assert isinstance(item, Question), item
    return item


@pytest.mark.parametrize(
    ("source", "kept", "references"),
    [
        ("asdiv", [1, 2, 3, 4, 5], ["9", "1.75", "2; 3", "7:25", "1/3"]),
        ("asdiv@lema", [1, 2], ["9", "1.75"]),
        ("asdiv@qwen", [1, 2, 4, 5], ["9", "1.75", "7:25", "1/3"]),
    ],
)
def test_asdiv_variants(tmp_path: Path, source: str, kept: list[int], references: list[str]) -> None:
    (tmp_path / "ASDiv.xml").write_text(ASDIV)
    items = read(source, path=str(tmp_path / "ASDiv.xml"))
    questions = [item for item in items if isinstance(item, Question)]
    assert [q.reference for q in questions] == references
    assert [i + 1 for i, item in enumerate(items) if isinstance(item, Question)] == kept
    assert {item.reason for item in items if isinstance(item, Dropped)} <= {"left_out"}
    assert questions[0].text.endswith("are in a basket. How many apples are there?")
    assert (questions[1].text, questions[1].level) == ("A rope is 3.5 m (or so). How long is half of it?", "4")


def test_gsm8k_as_published(tmp_path: Path) -> None:
    row = {"question": "How many?", "answer": "It is 1,000 + 5 = <<1000+5=1005>>1,005.\n#### 1,005"}
    question = one("gsm8k", write(tmp_path, "train.jsonl", [row]))
    assert (question.reference, question.source, question.task) == ("1,005", "gsm8k", "arithmetic")
    assert question.solution == "It is 1,000 + 5 = 1,005.\nThe answer is 1,005."


def test_math_as_published(tmp_path: Path) -> None:
    problem = {"problem": "Half?", "level": "Level 2", "type": "Algebra", "solution": "So $\\boxed{\\frac{1}{2}}$."}
    for name in ("MATH/train/algebra/1.json", "MATH/test/algebra/1.json", "MATH/train/geometry/1.json"):
        text = problem | {"problem": f"Half of {name}?"}
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(json.dumps(text, indent=4))
    train = read("math", path=str(tmp_path / "MATH"))
    assert [q.text for q in train if isinstance(q, Question)] == [
        f"Half of MATH/train/{subject}/1.json?" for subject in ("algebra", "geometry")
    ]
    question = one("math", str(tmp_path / "MATH"), split="test")
    assert (question.reference, question.level, question.task) == ("\\frac{1}{2}", "Level 2", "math")
    assert question.solution == problem["solution"]


def test_svamp_and_mawps_as_published(tmp_path: Path) -> None:
    svamp = [{"ID": "c-1", "Body": "A box costs 76", "Question": "How much?", "Answer": 51.0, "Type": "Subtraction"}]
    (tmp_path / "SVAMP.json").write_text(json.dumps(svamp, indent=1))
    question = one("svamp", str(tmp_path / "SVAMP.json"))
    assert (question.text, question.reference) == ("A box costs 76. How much?", "51")
    mawps = [{"iIndex": 1, "sQuestion": "How many? ", "lEquations": ["x=1/2"], "lSolutions": [0.5]}]
    (tmp_path / "mawps.json").write_text(json.dumps(mawps))
    assert one("mawps@refaug", str(tmp_path / "mawps.json")) == one(
        "mawps@refaug", write(tmp_path, "mawps.jsonl", mawps)
    )
    assert one("mawps", str(tmp_path / "mawps.json")).reference == "0.5"
    assert one("mawps@qwen", write(tmp_path, "q.jsonl", [{"input": "How many?", "target": 5.0}])).reference == "5"


def test_csqa_as_released_and_as_on_the_hub(tmp_path: Path) -> None:
    texts = ["bank", "library", "mall"]
    labelled = [{"label": label, "text": text} for label, text in zip("ABC", texts, strict=True)]
    released = {"answerKey": "B", "id": "1", "question": {"stem": "Where?", "choices": labelled}}
    hub = {"question": "Where?", "choices": {"label": ["A", "B", "C"], "text": texts}, "answerKey": "B"}
    expected = one("csqa", write(tmp_path, "dev.jsonl", [released]))
    assert (expected.reference, expected.choices, expected.task) == ("B", ("bank", "library", "mall"), "choice")
    assert one("csqa", write(tmp_path, "hub.jsonl", [hub])) == expected
    unlabelled = released | {"answerKey": ""}
    items = read("csqa", path=write(tmp_path, "half.jsonl", [released, unlabelled]))
    assert [getattr(item, "reason", None) for item in items] == [None, "no_reference"]


def test_newer_sets_as_published(tmp_path: Path) -> None:
    aqua = {"question": "How far?", "options": ["A)21", "B)21.5"], "rationale": "Half of 43.", "correct": "B"}
    question = one("aqua", write(tmp_path, "aqua.json", [aqua]))
    assert (question.reference, question.choices, question.solution) == ("B", ("21", "21.5"), "Half of 43.")
    mgsm = {"question": "Wie viele?", "answer": None, "answer_number": 18, "language": "de"}
    assert (one("mgsm@de", write(tmp_path, "mgsm.jsonl", [mgsm])).reference, NAMED["mgsm@de"].hub_config) == (
        "18",
        "de",
    )
    plus = [
        {"question": "Cost?", "answer": "None"},
        {"question": "Cost now?", "answer": "4.33", "perturbation_type": "x"},
    ]
    dropped, kept = read("gsm_plus", path=write(tmp_path, "plus.jsonl", plus))
    assert getattr(dropped, "reason", None) == "left_out" and getattr(kept, "type", None) == "x"
    college = {"question": "Limit?", "answer": "$\\frac{1}{2}$", "data_topic": "calculus"}
    assert one("college_math", write(tmp_path, "college.jsonl", [college])).type == "calculus"
    deepmind = {"question": "b'Solve 3*x = 6.\\n'", "answer": "b'2\\n'"}
    question = one("deepmind_math", write(tmp_path, "deepmind.jsonl", [deepmind]))
    assert (question.text, question.reference) == ("Solve 3*x = 6.", "2")


def test_ids_ignore_white_space_and_know_choices(tmp_path: Path) -> None:
    rows = [{"question": q, "answer": "1"} for q in ("How  many\n apples?", " How many apples? ", "How many pears?")]
    first, second, third = read("files", path=write(tmp_path, "a.jsonl", rows))
    assert first.id == second.id != third.id  # ids, not texts: both are kept as they were written
    choices = [{"question": "Which?", "answer": "A", "choices": c} for c in (["x", "y"], ["x", "z"])]
    one, other = read("files", path=write(tmp_path, "b.jsonl", choices))
    assert one.id != other.id


def test_a_wrong_field_name_says_which_fields_are_there(tmp_path: Path) -> None:
    path = write(tmp_path, "a.jsonl", [{"Q": "x", "A": "1"}, {"Q": "y", "A": "2"}])
    with pytest.raises(QuestionError, match=r"a\.jsonl:1: missing_field: no field text for the question.* Q, A"):
        read("files", path=path, fields={"question": "text", "reference": "A"})
    with pytest.raises(QuestionError, match=r"none of 2 rows is a usable question.*no field reference or answer"):
        read("files", path=path, fields={"question": "Q"})
    with pytest.raises(QuestionError, match="no row has the field that fields names for solution"):
        read("files", path=path, fields={"question": "Q", "reference": "A", "solution": "worked"})
    with pytest.raises(QuestionError, match="unknown text; known are question, reference"):
        read("files", path=path, fields={"text": "Q"})
    assert len(read("files", path=path, fields={"question": "Q", "reference": "A"})) == 2


def test_bad_rows_are_kept_as_drops_and_do_not_stop_the_rest(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"question": " ", "answer": "1"},
        {"question": "a", "answer": None},
        {"question": "b"},
        {"question": "\ud800", "answer": "1"},
        {"question": "c", "answer": "1", "choices": "x or y"},
        {"question": "good", "answer": 12, "level": 3},
    ]
    path = write(tmp_path, "a.jsonl", rows)
    *drops, good = read("files", path=path)
    reasons = ["no_text", "no_reference", "missing_field", "bad_text", "bad_choices"]
    assert [drop.reason for drop in drops if isinstance(drop, Dropped)] == reasons
    assert [drop.id for drop in drops] == [f"{path}:{n}" for n in range(1, 6)]
    assert isinstance(good, Question) and (good.reference, good.level, good.source) == ("12", "3", "a.jsonl")
    assert read("files", path=path, limit=1) == [*drops, good]


def test_sources_that_are_not_there(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").touch()
    for settings, message in (
        ({"source": "files", "path": str(tmp_path / "empty.jsonl")}, "the source is empty"),
        ({"source": "files", "path": str(tmp_path / "gone.jsonl")}, "gone.jsonl: no such file"),
        ({"source": "files"}, "path is missing"),
        ({"source": "hub"}, "hub_id is missing"),
        ({"source": "gsm8l"}, "did you mean 'gsm8k'"),
    ):
        with pytest.raises(QuestionError, match=message):
            list(read_questions(SourceConfig(**settings)))


def test_procedural_questions() -> None:
    pytest.importorskip("reasoning_gym")
    first = read("reasoning_gym", count=5, seed=3, options={"dataset": "chain_sum", "max_terms": 3})
    again = read("reasoning_gym", count=5, seed=3, options={"dataset": "chain_sum", "max_terms": 3})
    assert first == again and len({q.id for q in first}) == 5
    assert all(isinstance(q, Question) and int(q.reference) is not None for q in first)
    with pytest.raises(QuestionError, match="did you mean chain_sum"):
        read("reasoning_gym", options={"dataset": "chainsum"})
    with pytest.raises(QuestionError, match="does not take these options"):
        read("reasoning_gym", options={"dataset": "chain_sum", "max_trems": 3})
    problems = read("word_problems", count=7, seed=1, options={"max_steps": 2})
    assert len(problems) == 7 and all(isinstance(q, Question) and q.solution for q in problems)
    with pytest.raises(QuestionError, match=r"word_problems: .*steps_max"):
        read("word_problems", options={"steps_max": 2})


def test_the_hub_streams_a_data_set_that_lies_here(tmp_path: Path) -> None:
    pytest.importorskip("datasets")
    write(tmp_path, "set/train.jsonl", [{"question": "1 + 1?", "answer": "#### 2"}] * 3)
    items = [item for _, item in read_questions(SourceConfig(source="hub", hub_id=str(tmp_path / "set"), limit=2))]
    assert [item.reference for item in items if isinstance(item, Question)] == ["2", "2"]


def test_without_a_connection_the_hub_says_what_to_do() -> None:
    pytest.importorskip("datasets")
    code = (
        "from lema_ray.config import SourceConfig\nfrom lema_ray.questions import *\n"
        "try: next(read_questions(SourceConfig(source='gsm8k')))\nexcept QuestionError as e: print(e)"
    )
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": "/nonexistent"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert "openai/gsm8k (main), split train" in done.stdout, done.stderr
    assert "give a local copy in path" in done.stdout


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("source", "file", "count", "task"),
    [
        ("gsm8k", "gsm8k_train.jsonl", 7473, "arithmetic"),
        ("gsm8k", "gsm8k_test_a.jsonl", 660, "arithmetic"),
        ("math500", "math500_a.jsonl", 250, "math"),
        ("svamp", "svamp_a.jsonl", 500, "arithmetic"),
        ("files", "gsmplus_a.jsonl", 1057, "arithmetic"),
        ("gsm_plus", "gsmplus_a.jsonl", 1057, "arithmetic"),
        ("mgsm", "mgsm_a.jsonl", 1250, "arithmetic"),
        ("aqua", "aqua_a.jsonl", 127, "choice"),
        ("files", "mgsm_a.jsonl", 1250, "arithmetic"),
        ("files", "aqua_a.jsonl", 127, "choice"),
    ],
)
def test_real_copies(shared_data: Path, source: str, file: str, count: int, task: str) -> None:
    items = read(source, path=str(shared_data / file))
    assert all(isinstance(item, Question) and item.task == task for item in items)
    assert len({item.id for item in items}) == count
    published = [json.loads(line)["answer"] for line in (shared_data / file).open(newline="\n")]
    assert [item.reference for item in items if isinstance(item, Question)] == [answer.strip() for answer in published]
    solutions = [item.solution for item in items if isinstance(item, Question) and item.solution]
    assert not any("####" in s or "<<" in s for s in solutions if source == "gsm8k")


@pytest.mark.shared_data
def test_published_gsm8k_and_svamp_shapes_give_the_same_questions(shared_data: Path, tmp_path: Path) -> None:
    """The shared copies split what the publishers join: both forms must agree on id, reference and solution."""
    rows = [json.loads(line) for line in islice((shared_data / "gsm8k_train.jsonl").open(), 200)]
    published = write(tmp_path, "train.jsonl", [{"question": r["question"], "answer": r["solution"]} for r in rows])
    assert read("gsm8k", path=published) == read("gsm8k", path=str(shared_data / "gsm8k_train.jsonl"), limit=200)
    rows = [json.loads(line) for line in (shared_data / "svamp_a.jsonl").open()]
    svamp = [{"Body": r["body"], "Question": r["ask"], "Answer": float(r["answer"])} for r in rows]
    (tmp_path / "SVAMP.json").write_text(json.dumps(svamp))
    ours = read("svamp", path=str(tmp_path / "SVAMP.json"))
    assert [q.id for q in ours] == [q.id for q in read("svamp", path=str(shared_data / "svamp_a.jsonl"))]


def test_the_table_of_named_sources_is_complete() -> None:
    published = {"gsm8k", "math", "math500", "svamp", "asdiv", "mawps", "csqa", "aqua", "gsm_plus", "mgsm"}
    published |= {"college_math", "deepmind_math", "mgsm@de", "asdiv@lema", "mawps@qwen"}
    assert published <= NAMED.keys()
    assert all(named.hub_id.count("/") == 1 for named in NAMED.values())
