"""Exports say the same as the rows they come from, in every format, masks included where the format has them."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_run import count_words, make_config, make_graded

from lema_ray.examples import BuildError, build_examples
from lema_ray.examples.exports import FORMATS, export_arm
from lema_ray.records import Message, Span, TrainingExample
from lema_ray.runs import RunFolder

TEXT = st.text(min_size=1, max_size=20)


@st.composite
def examples(draw: st.DrawFn) -> TrainingExample:
    """Rows with a system message, earlier turns, an answer begun in the prompt, and unlearned spans, or without."""
    turns = [Message("system", draw(TEXT))] if draw(st.booleans()) else []
    for _ in range(draw(st.integers(0, 2))):
        turns += [Message("user", draw(TEXT)), Message("assistant", draw(TEXT))]
    turns.append(Message("user", draw(TEXT)))
    if draw(st.booleans()):
        turns.append(Message("assistant", draw(TEXT)))
    spans = draw(st.lists(st.builds(Span, TEXT, st.booleans()), min_size=1, max_size=3))
    return TrainingExample("id", tuple(turns), tuple(spans), "lema", "q")


def spoken(form: str, row: dict[str, Any]) -> str:
    """All that an exported row says, in order."""
    if form == "alpaca":
        history = "".join(text for pair in row["history"] for text in pair)
        return str(row["system"] + history + row["instruction"] + row["input"] + row["output"])
    if form == "sharegpt":
        return str(row["system"] + "".join(turn["value"] for turn in row["conversations"]))
    turns = row["messages"] if "messages" in row else row["prompt"] + row["completion"]
    return "".join(turn["content"] for turn in turns)


@settings(deadline=None)
@given(examples())
def test_every_format_says_the_same(example: TrainingExample) -> None:
    text = "".join(m.content for m in example.prompt) + example.target_text
    for form, row_of in FORMATS.items():
        row = json.loads(json.dumps(row_of(example)))
        assert spoken(form, row) == text, form


@settings(deadline=None)
@given(examples())
def test_roles_alternate_and_weights_are_the_mask(example: TrainingExample) -> None:
    turns = FORMATS["sharegpt"](example)["conversations"]
    assert [t["from"] for t in turns] == ["human", "gpt"] * (len(turns) // 2)
    messages = FORMATS["openai"](example)["messages"]
    assert all(("weight" in m) == (m["role"] == "assistant") for m in messages)
    learned = "".join(m["content"] for m in messages if m.get("weight") == 1)
    assert learned == "".join(span.text for span in example.target if span.learn)


def test_files_hold_every_row_and_llama_factory_finds_them(collected: Callable[..., RunFolder]) -> None:
    run = collected(make_graded(n) for n in range(40))
    card = build_examples(make_config(exports=list(FORMATS), dev_fraction=0.3), run, count_words)
    for split in ("train", "dev"):
        rows = list(run.read_records(TrainingExample, "examples", "lema", f"{split}.parquet"))
        for form in FORMATS:
            lines = run.read_text("examples", "lema", "exports", f"{form}.{split}.jsonl").splitlines()
            found = [spoken(form, json.loads(line)) for line in lines]
            assert found == ["".join(m.content for m in r.prompt) + r.target_text for r in rows]
    info = run.read_json("examples", "lema", "exports", "dataset_info.json")
    assert set(info) == {
        f"made-up_lema_{form}_{split}" for form in ("alpaca", "sharegpt") for split in ("train", "dev")
    }
    assert all(run.exists("examples", "lema", "exports", entry["file_name"]) for entry in info.values())
    counted = card["arms"]["lema"]
    assert counted["exports"]["openai"]["rows"] == counted["train"]["rows"] + counted["dev"]["rows"]


def test_lost_masks_are_counted_and_pairs_are_refused_where_they_have_no_form(tmp_path: Any) -> None:
    run = RunFolder(str(tmp_path))
    asked = (Message("user", "2+2?"),)
    masked = TrainingExample("a", asked, (Span("5. No: ", learn=False), Span("4")), "lema", "q")
    pair = TrainingExample("b", asked, (Span("4"),), "rise", "q", rejected=(Span("5"),))
    for arm, row in (("masked", masked), ("pairs", pair)):
        run.write_records([row], TrainingExample, "examples", arm, "train.parquet")
        run.write_records([], TrainingExample, "examples", arm, "dev.parquet")
    counts = export_arm(run, "masked", ["messages", "openai"], "n")
    assert counts == {"messages": {"rows": 1, "masks_lost": 1}, "openai": {"rows": 1, "masks_lost": 0}}
    export_arm(run, "pairs", ["prompt_completion"], "n")
    line = run.read_text("examples", "pairs", "exports", "prompt_completion.train.jsonl")
    assert (json.loads(line)["chosen"][0]["content"], json.loads(line)["rejected"][0]["content"]) == ("4", "5")
    with pytest.raises(BuildError, match="preference pairs"):
        export_arm(run, "pairs", ["alpaca"], "n")
