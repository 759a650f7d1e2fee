"""The base model: its tokenizer, its lessons, and a very small one trained for real, saved and loaded again."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("torch", reason="needs the extra `train`")
pytest.importorskip("transformers", reason="needs the extra `train`")

from small_base_model import SMALL, SmallBaseModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from lema_ray.attempts import solve_prompt
from lema_ray.demo import program_problems
from lema_ray.demo.base_model import recipe_id
from lema_ray.demo.lessons import lessons, teacher_texts
from lema_ray.demo.marking_model import train_marking_model
from lema_ray.demo.programming_model import train_programming_model
from lema_ray.demo.tokenizer import train_tokenizer
from lema_ray.demo.word_problems import NAMES, THINGS, generate
from lema_ray.models import check_model, context_length
from lema_ray.records import Question

TEXTS = [lesson.text for lesson in lessons(2000, 30, 30, 199, 0)] + list(teacher_texts(50, 0))
TOKENIZER = train_tokenizer(TEXTS, [*NAMES, *THINGS], 199, 512)


@given(st.text())
def test_any_text_survives_the_tokenizer(text: str) -> None:
    assert TOKENIZER.decode(TOKENIZER(text).input_ids) == text


def test_numbers_up_to_the_bound_are_single_tokens_and_larger_ones_encode() -> None:
    assert all(len(TOKENIZER.tokenize(f" {n}")) == 1 for n in range(200))
    assert [TOKENIZER.tokenize(t) for t in (" pebbles", " Ana", " toy cars")] == [["Ġpebbles"], ["ĠAna"], ["ĠtoyĠcars"]]
    assert TOKENIZER.decode(TOKENIZER(" 12345 + 678").input_ids) == " 12345 + 678"


def test_a_final_assistant_turn_can_be_continued() -> None:
    turns = [{"role": "user", "content": "Why? "}, {"role": "assistant", "content": "Step 1: After \n"}]
    render = TOKENIZER.apply_chat_template
    whole = render(turns, tokenize=False)
    assert whole == "<|user|>Why? <|end|><|assistant|>Step 1: After \n<|end|>"
    assert render(turns, tokenize=False, continue_final_message=True) == whole.removesuffix("<|end|>")
    asked = render(turns[:1], tokenize=False, add_generation_prompt=True)
    assert asked == "<|user|>Why? <|end|><|assistant|>"
    assert TOKENIZER(whole).input_ids[-1] == TOKENIZER.eos_token_id


def test_no_token_goes_on_after_a_line_break() -> None:
    for text in TEXTS:
        pieces = [TOKENIZER.decode([i]) for i in TOKENIZER(text).input_ids]
        assert not [p for p in pieces if "\n" in p.rstrip("\n")]


def calculations(text: str) -> list[tuple[int, str, int, int]]:
    found = re.findall(r"(\d+) ([-+*/]) (\d+) = (\d+)", text)
    return [(int(a), symbol, int(b), int(c)) for a, symbol, b, c in found]


def test_drills_are_right_and_only_their_results_are_learned() -> None:
    for lesson in lessons(0, 100, 0, 199, 3):
        made = calculations(lesson.text)
        assert len(made) == 8
        assert all(eval(f"{a} {symbol} {b}") == c <= 199 for a, symbol, b, c in made)
        assert [s.text for s in lesson.answer if s.learn] == [f" {c};" for *_, c in made]


def test_half_of_the_claims_are_wrong_and_all_are_judged_rightly() -> None:
    wrong = 0
    for lesson in lessons(0, 0, 100, 199, 3):
        for claim, judgement in zip(lesson.answer[::2], lesson.answer[1::2], strict=True):
            ((a, symbol, b, c),) = calculations(claim.text)
            true = eval(f"{a} {symbol} {b}")
            assert judgement.text == (" is right;" if c == true else f" is wrong, it is {true:.0f};")
            assert judgement.learn and not claim.learn
            wrong += c != true
    assert 320 < wrong < 480


def test_the_cache_key_follows_the_settings() -> None:
    assert recipe_id(SMALL) == recipe_id(replace(SMALL)) != recipe_id(replace(SMALL, steps=9))


@pytest.mark.train
def test_a_small_one_learns_the_form_of_a_solution_and_is_saved_whole(
    small_base_model: SmallBaseModel,
) -> None:
    folder, losses = small_base_model.folder, small_base_model.losses
    assert losses and losses[-1] < 3
    assert context_length(str(folder)) == 512
    answer = answer_of(folder, next(generate(1, 77)).question, 150)
    assert re.fullmatch(r"(Step \d: .+\n)+The answer is.*<\|end\|>", answer)


@pytest.mark.train
def test_a_small_programmer_is_saved_whole_and_writes_in_the_form_it_was_taught(tmp_path: Path) -> None:
    train_programming_model(tmp_path, replace(SMALL, problems=20, steps=60))
    assert answer_of(tmp_path, next(program_problems.generate(1, 77)), 60).startswith("```python\ndef ")


@pytest.mark.train
def test_a_small_one_that_marks_its_steps_is_saved_whole_and_marks_them(tmp_path: Path) -> None:
    train_marking_model(tmp_path, replace(SMALL, drills=0, checks=0, steps=100))
    answer = answer_of(tmp_path, next(generate(1, 77)).question, 40)
    assert re.match(r"Step 1: [^\n]+ Check: \d+ [+*] \d+ is \d+, (right|wrong)\.\n", answer), answer


def answer_of(folder: Path, question: Question, tokens: int) -> str:
    """What a saved model says greedily to a question, in no more than so many tokens."""
    check_model(str(folder))
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    turns = [{"role": m.role, "content": m.content} for m in solve_prompt(question)]
    prompt = tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_dict=True, return_tensors="pt")
    answer = model.generate(**prompt, max_new_tokens=tokens, do_sample=False)[0][prompt["input_ids"].shape[1] :]
    said = str(tokenizer.decode(answer))
    if said.endswith("<|end|>"):
        assert int(answer[-1]) == tokenizer.eos_token_id == model.generation_config.eos_token_id
    return said
