"""Answers of earlier runs: found by what was asked of which model content, and by nothing less."""

from __future__ import annotations

import shutil
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest

from lema_ray import arrow
from lema_ray.config import ConfigError, EvaluationSampling, OpenAISpec, ScriptedSpec, VLLMSpec
from lema_ray.evaluation.earlier_answers import KEY, PARTS, Asked, EarlierAnswers, read_earlier, with_keys
from lema_ray.evaluation.model_identity import folder_fingerprint, model_identity
from lema_ray.records import Attempt, Grade, GradedAttempt, GradedQuestion, Question, content_id
from lema_ray.runs import RunFolder

HOT = EvaluationSampling(name="hot", temperature=0.7, samples=2, max_tokens=64)
ASKED = Asked("weights", "mine", HOT, few_shot=1, seed=3)


def question(number: int) -> Question:
    text = f"What is {number} + 1?"
    return Question(content_id(text), text, str(number + 1), "made up")


def evaluate(run: RunFolder, *parts: str, asked: Asked, questions: list[Question], answered: int = 2) -> None:
    rows = []
    for q in questions:
        attempts = (Attempt(f"{q.id}/{k}", f"{q.text} {k}", asked.model, cost=0.5) for k in range(answered))
        rows.append(GradedQuestion(q, tuple(GradedAttempt(a, Grade("right", "1")) for a in attempts)))
    table = with_keys(arrow.to_table(rows, GradedQuestion), [asked.key(q) for q in questions], asked.sampling.samples)
    import pyarrow.parquet as pq

    with run.writing(*parts) as sink:
        pq.write_table(table, sink, row_group_size=8)


def found(earlier: EarlierAnswers, asked: Asked, questions: list[Question]) -> list[bool]:
    keys = [asked.key(q) for q in questions]
    answers = earlier.find(keys)
    return [key in answers for key in keys]


def test_answers_come_back_under_the_new_name_and_ungraded(tmp_path: Path) -> None:
    old, new = RunFolder(f"{tmp_path}/old"), RunFolder(f"{tmp_path}/new")
    some = [question(n) for n in range(20)]
    evaluate(old, "evaluations", "mine--hot.parquet", asked=ASKED, questions=some)
    earlier = read_earlier(new, [old.root])
    answers = earlier.find([ASKED.key(q) for q in reversed(some)])
    assert list(answers) == [ASKED.key(q) for q in reversed(some)]
    for q in some:
        row = replace(ASKED, model="theirs").restored(q, answers[ASKED.key(q)])
        assert [g.attempt.text for g in row.attempts] == [f"{q.text} 0", f"{q.text} 1"]
        assert {g.grade.rules for g in row.attempts} == {("ungraded",)} and {g.attempt.cost for g in row.attempts} == {
            0.5
        }
        assert {g.attempt.model for g in row.attempts} == {"theirs"} and len({g.attempt.id for g in row.attempts}) == 2
    assert ASKED.restored(question(99), ()).attempts == ()


def test_anything_that_changes_an_answer_changes_the_key(tmp_path: Path) -> None:
    run, some = RunFolder(str(tmp_path)), [question(n) for n in range(3)]
    evaluate(run, "evaluations", "mine--hot.parquet", asked=ASKED, questions=some)
    earlier = read_earlier(run)
    assert found(earlier, ASKED, some) == [True] * 3
    renamed = HOT.model_copy(update={"name": "other name"})
    assert found(earlier, replace(ASKED, sampling=renamed), some) == [True] * 3, "a name is not a way of asking"
    others = [{"temperature": 0.8}, {"top_p": 0.9}, {"max_tokens": 65}, {"samples": 3}, {"stop": ("\n",)}]
    changed = [replace(ASKED, sampling=HOT.model_copy(update=update)) for update in others]
    changed += [
        replace(ASKED, **c) for c in ({"identity": "others"}, {"few_shot": 2}, {"seed": 4}, {"model": "theirs"})
    ]
    assert [any(found(earlier, asked, some)) for asked in changed] == [False] * len(changed)
    reworded = replace(some[0], text=some[0].text + " ")
    choices = replace(some[0], task="choice", choices=("1", "2"))
    assert found(earlier, ASKED, [reworded, choices, replace(some[0], id="x")]) == [False] * 3
    assert found(earlier, ASKED, [replace(some[0], reference="2")]) == [True], "grades are made anew"


def test_greedy_answers_do_not_depend_on_seed_or_name() -> None:
    greedy = Asked("weights", "mine", EvaluationSampling(), 0, 0)
    assert greedy.key(question(1)) == replace(greedy, model="theirs", seed=9).key(question(1))


def test_a_question_with_a_missing_sample_is_asked_again(tmp_path: Path) -> None:
    run, some = RunFolder(str(tmp_path)), [question(1)]
    evaluate(run, PARTS, "mine--hot", "a.parquet", asked=ASKED, questions=some, answered=1)
    assert found(read_earlier(run), ASKED, some) == [False]
    evaluate(run, PARTS, "mine--hot", "b.parquet", asked=ASKED, questions=some)
    assert found(read_earlier(run), ASKED, some) == [True], "chunks of a killed evaluation count"


def test_a_run_without_usable_answers_is_refused(tmp_path: Path) -> None:
    run, old = RunFolder(f"{tmp_path}/new"), RunFolder(f"{tmp_path}/old")
    with pytest.raises(ConfigError, match=r"old has no evaluation"):
        read_earlier(run, [old.root])
    old.write_records([GradedQuestion(question(1))], GradedQuestion, "evaluations", "m--greedy.parquet")
    with pytest.raises(ConfigError, match=r"old has no evaluation"):
        read_earlier(run, [old.root])
    old.write_bytes(b"PAR1 no more", "evaluations", "n--greedy.parquet")
    with pytest.raises(ConfigError, match=r"n--greedy.parquet cannot be read"):
        read_earlier(run, [old.root])


def test_a_folder_is_known_by_its_content_and_everything_else_by_name(tiny_model: Path, tmp_path: Path) -> None:
    one, two = RunFolder(f"{tmp_path}/one"), RunFolder(f"{tmp_path}/two")
    copy = Path(shutil.copytree(tiny_model, tmp_path / "copy"))
    spec = VLLMSpec(model=str(tiny_model))
    here = model_identity(spec, one)
    assert here.by_content and here == model_identity(VLLMSpec(model=str(copy), max_num_seqs=4), two)
    assert here != model_identity(VLLMSpec(model=str(copy), dtype="float16"), two)
    assert here != model_identity(VLLMSpec(model=str(copy), engine_args={"quantization": "fp8"}), two)
    assert here != model_identity(VLLMSpec(model=str(copy), lora=str(tiny_model)), two)
    assert not model_identity(VLLMSpec(model=str(copy), engine_args={"tokenizer": str(tiny_model)}), two).by_content
    (copy / "README.md").write_text("a card")
    (copy / "loss.json").write_text("[]")
    assert here == model_identity(VLLMSpec(model=str(copy)), one)
    for file in ("model.safetensors", "tokenizer.json", "chat_template.jinja", "config.json"):
        path, before = copy / file, folder_fingerprint(copy)
        path.write_bytes((content := path.read_bytes())[:-1] + bytes([content[-1] ^ 1]))
        assert folder_fingerprint(copy) != before, file
        path.write_bytes(content)
        assert folder_fingerprint(copy) == before
    for named in (
        VLLMSpec(model="org/on-the-hub"),
        OpenAISpec(model="m", base_url="http://127.0.0.1:9/v1"),
        ScriptedSpec(),
    ):
        identity = model_identity(named, one)
        assert not identity.by_content and identity == model_identity(named, one) != model_identity(named, two)


def test_the_index_holds_hashes_and_no_texts(tmp_path: Path) -> None:
    run, some = RunFolder(str(tmp_path)), [question(n) for n in range(4_000)]
    asked = replace(ASKED, sampling=EvaluationSampling())
    evaluate(run, "evaluations", "m--g.parquet", asked=asked, questions=some, answered=1)
    tracemalloc.start()
    earlier = read_earlier(run)
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert len(earlier.keys) == 4_000 and earlier.keys.nbytes + earlier.places.nbytes == 20 * 4_000
    assert kept < 4_000 * 100 and KEY == "asked"
    assert all(found(earlier, asked, some[1_000:1_064]))
