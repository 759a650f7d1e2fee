"""What is learned of a row: the target's learned text and the end of the turn; and which rows are refused."""

from __future__ import annotations

import copy
import itertools
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lema_ray.records import Message, Span, TrainingExample
from lema_ray.training.masking import (
    NOT_LEARNED,
    UNFINISHED,
    MaskingError,
    check_lengths,
    end_of_turn,
    tokenize_example,
    tokenize_pair,
)
from lema_ray.training.preflight import preview
from tests.tiny_model import TEMPLATE

NO_SPECIAL = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="<"), max_size=30)
LINE = st.text(st.sampled_from("ab 12+=é日😀"), min_size=1, max_size=12).map(lambda t: t.strip() or "x")


@pytest.fixture(scope="module")
def tokenizer(tiny_model: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(tiny_model)


def _example(*target: Span, prompt: str = "How many are left?", **changes: Any) -> TrainingExample:
    return TrainingExample("row-7", (Message("user", prompt),), target, "cot", "q", **changes)


def _variant(tokenizer: Any, template: str) -> Any:
    other = copy.deepcopy(tokenizer)
    other.chat_template = template
    return other


@given(prompt=NO_SPECIAL, target=st.lists(st.builds(Span, NO_SPECIAL, st.booleans()), min_size=1, max_size=5))
def test_a_token_is_learned_exactly_when_all_its_bytes_are(tokenizer: Any, prompt: str, target: list[Span]) -> None:
    example = _example(Span("7", True), *target, prompt=prompt)
    row = tokenize_example(example, tokenizer)
    messages = [{"role": "user", "content": prompt}, {"role": "assistant", "content": example.target_text}]
    assert row.input_ids == tokenizer.apply_chat_template(messages, return_dict=False)
    learned = _learned_by_bytes(example, tokenizer.convert_ids_to_tokens(row.input_ids))
    expected = [token if yes else NOT_LEARNED for token, yes in zip(row.input_ids, learned, strict=True)]
    assert row.labels == expected


def _learned_by_bytes(example: TrainingExample, tokens: list[str]) -> list[bool]:
    """The same decision without offsets: in a byte-level vocabulary every character of a token stands for one byte."""
    mask = [False] * len(f"<|user|>\n{example.prompt[0].content}<|end|>\n<|assistant|>\n".encode())
    finished = example.target[-1] != Span("", False)
    for span in (*example.target, Span("<|end|>", finished), Span("\n", False)):
        mask += [span.learn] * len(span.text.encode())
    ends = list(itertools.accumulate(map(len, tokens)))
    assert ends[-1] == len(mask)
    return [all(mask[end - len(token) : end]) for token, end in zip(tokens, ends, strict=True)]


@given(lines=st.lists(st.builds(Span, LINE.map(lambda t: t + "\n"), st.booleans()), min_size=1, max_size=6))
def test_learned_tokens_decode_to_the_learned_text_and_the_end_of_turn(tokenizer: Any, lines: list[Span]) -> None:
    row = tokenize_example(_example(Span("7\n"), *lines), tokenizer)
    learned = tokenizer.decode([label for label in row.labels if label != NOT_LEARNED])
    assert learned == "7\n" + "".join(span.text for span in lines if span.learn) + "<|end|>"


def test_offsets_without_their_blanks_give_the_same_labels(tokenizer: Any) -> None:
    """Some byte-level tokenizers leave a token's leading blank out of its offsets."""
    from tokenizers.processors import ByteLevel

    trimming = _variant(tokenizer, tokenizer.chat_template)
    trimming.backend_tokenizer.post_processor = ByteLevel(trim_offsets=True)
    example = _example(Span("one two", True), Span("  three", False), Span(" four   \n 12", True))
    assert tokenize_example(example, trimming) == tokenize_example(example, tokenizer)


def test_what_the_template_opens_an_answer_with_is_learned(tokenizer: Any) -> None:
    """The model has to write it itself: at inference the prompt ends before it."""
    thinking = _variant(
        tokenizer,
        "{% for m in messages %}<|{{ m.role }}|>\n{% if m.role == 'assistant' %}(no thoughts)\n{% endif %}"
        "{{ m.content }}<|end|>\n{% endfor %}{% if add_generation_prompt %}<|assistant|>\n{% endif %}",
    )
    row = tokenize_example(_example(Span("It is 7.")), thinking)
    assert tokenizer.decode([t for t in row.labels if t != NOT_LEARNED]) == "(no thoughts)\nIt is 7.<|end|>"


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (TEMPLATE.replace("message['content'] }}", "message['content'] | trim }}"), "changes the target's text"),
        (TEMPLATE.replace("<|end|>", "."), "without a special token"),
        (TEMPLATE.replace("<|{{ message['role'] }}|>", "{{ messages | length }}"), "cannot be split"),
        (TEMPLATE + "{{ raise_exception('no users here') }}", "no users here"),
        (None, "has no chat template"),
    ],
)
def test_templates_that_cannot_be_trusted_are_refused(tokenizer: Any, template: str | None, message: str) -> None:
    with pytest.raises(MaskingError, match=message):
        tokenize_example(_example(Span("The answer is 7.\n")), _variant(tokenizer, template))  # type: ignore[arg-type]


def test_a_target_that_merges_with_the_prompt_is_refused(tokenizer: Any) -> None:
    bare = "{% for m in messages %}{{ m.content }}{% if m.role == 'user' %} ans{% else %}<|end|>{% endif %}{% endfor %}"
    with pytest.raises(MaskingError, match=r"row-7 .*merge with the prompt"):
        tokenize_example(_example(Span("wer is 19.")), _variant(tokenizer, bare))


@pytest.mark.parametrize(
    ("example", "message"),
    [
        (_example(Span(" \n")), "target is empty"),
        (_example(Span("The answer is 7.", False)), "row-7 .*no span of its target is to be learned"),
        (
            _example(Span("Step 1", False), Span("1", True), Span("9", False), UNFINISHED),
            "row-7 .*no token lies wholly",
        ),
        (TrainingExample("r", (Message("assistant", "So"),), (Span("7"),), "cot", "q"), "end with a user message"),
    ],
)
def test_rows_that_say_nothing_learnable_are_refused(tokenizer: Any, example: TrainingExample, message: str) -> None:
    with pytest.raises(MaskingError, match=message):
        tokenize_example(example, tokenizer)


def test_both_answers_of_a_pair_are_labelled_by_their_own_spans(tokenizer: Any) -> None:
    start, wrong = Span("Step 1: 9\n", False), (Span("2\n"), Span("The answer is 2."))
    example = _example(start, Span("The answer is 7."), rejected=(start, *wrong, UNFINISHED))
    pair = tokenize_pair(example, tokenizer)
    assert (pair.input_ids, pair.labels) == (
        (alone := tokenize_example(example, tokenizer)).input_ids,
        alone.labels,
    )
    assert tokenizer.decode([t for t in pair.labels if t >= 0]) == "The answer is 7.<|end|>"
    assert tokenizer.decode([t for t in pair.rejected_labels or () if t >= 0]) == "2\nThe answer is 2."
    assert pair.length == max(len(pair.input_ids), len(pair.rejected_input_ids or ()))
    assert end_of_turn(tokenizer) == tokenizer.convert_tokens_to_ids("<|end|>")


@pytest.mark.parametrize(
    ("rejected", "message"),
    [
        (None, "no rejected answer"),
        ((Span("The answer is 7."),), "are the same"),
        ((Span("no", False),), "no span of its target is to be learned"),
    ],
)
def test_pairs_that_prefer_nothing_are_refused(tokenizer: Any, rejected: Any, message: str) -> None:
    with pytest.raises(MaskingError, match=f"row-7 .*{message}"):
        tokenize_pair(_example(Span("The answer is 7."), rejected=rejected), tokenizer)


def test_rows_that_do_not_fit_are_named_or_dropped_but_never_cut(tokenizer: Any) -> None:
    rows = [
        tokenize_example(
            TrainingExample(f"r{n}", (Message("user", "?"),), (Span("7 " * n + "."),), "cot", "q"), tokenizer
        )
        for n in (5, 90, 40)
    ]
    report = check_lengths(iter(rows), 50)
    assert [row for row, _ in report.longest] == ["r90", "r40", "r5"] and report.rows == 3
    with pytest.raises(MaskingError, match=r"2 of 3 rows .* 50 tokens.*r90 \(\d+ tokens\), r40"):
        report.refuse()
    assert [(d.id, d.reason) for d in report.drops()] == [("r90", "too_long"), ("r40", "too_long")]
    check_lengths(rows, len(rows[1].input_ids)).refuse()


def test_the_preview_shows_learned_text_green_and_the_rest_dim(tokenizer: Any) -> None:
    shown = preview([_example(Span("Step 1: 9\n", False), Span("The answer is 7."))], tokenizer)
    assert "\x1b[32mThe answer is 7.<|end|>\x1b[0m" in shown
    assert "\x1b[2mStep 1: 9" in shown and "\x1b[32mStep" not in shown and "How many are left?" in shown
