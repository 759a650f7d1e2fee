"""Training rows in the formats of other trainers.

Called by `build` for each arm. Only `openai` can say which parts of an answer are not learned; for the others the rows
that lose their mask are counted. An answer whose mask has parts becomes several assistant turns in a row there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from lema_ray.examples.error import BuildError
from lema_ray.records import Message, Span, TrainingExample
from lema_ray.runs import RunFolder

Row = dict[str, Any]
SHAREGPT_ROLES = {"user": "human", "assistant": "gpt"}


def split_prefix(example: TrainingExample) -> tuple[Sequence[Message], str]:
    """The prompt's whole turns, and the beginning of an answer that the prompt leaves to be continued, if any."""
    if example.prompt[-1].role == "assistant":
        return example.prompt[:-1], example.prompt[-1].content
    return example.prompt, ""


def messages_row(example: TrainingExample) -> Row:
    """A conversation that ends with the answer."""
    turns, prefix = split_prefix(example)
    return {"messages": [*_dicts(turns), {"role": "assistant", "content": prefix + example.target_text}]}


def prompt_completion_row(example: TrainingExample) -> Row:
    """TRL's conversational prompt and completion; a preference pair is prompt, chosen, rejected."""
    turns, prefix = split_prefix(example)
    answer = [{"role": "assistant", "content": prefix + example.target_text}]
    if example.rejected is None:
        return {"prompt": _dicts(turns), "completion": answer}
    rejected = [{"role": "assistant", "content": prefix + _text(example.rejected)}]
    return {"prompt": _dicts(turns), "chosen": answer, "rejected": rejected}


def alpaca_row(example: TrainingExample) -> Row:
    """Instruction, input, output as LLaMA-Factory reads them; earlier turns are pairs in `history`."""
    turns, prefix = split_prefix(example)
    spoken = [turn.content for turn in turns if turn.role != "system"]
    history = [list(pair) for pair in zip(spoken[:-1:2], spoken[1:-1:2], strict=True)]
    output = prefix + example.target_text
    return {"instruction": spoken[-1], "input": "", "output": output, "system": _system(turns), "history": history}


def sharegpt_row(example: TrainingExample) -> Row:
    """A conversation between human and gpt."""
    turns, prefix = split_prefix(example)
    spoken = [{"from": SHAREGPT_ROLES[turn.role], "value": turn.content} for turn in turns if turn.role != "system"]
    answer = {"from": "gpt", "value": prefix + example.target_text}
    return {"conversations": [*spoken, answer], "system": _system(turns)}


def openai_row(example: TrainingExample) -> Row:
    """A conversation whose assistant turns have weight 1 if learned, else 0; each span is a turn of its own."""
    prompt = [m | {"weight": 0} if m["role"] == "assistant" else m for m in _dicts(example.prompt)]
    spans = [{"role": "assistant", "content": span.text, "weight": int(span.learn)} for span in example.target]
    return {"messages": [*prompt, *spans]}


FORMATS: dict[str, Callable[[TrainingExample], Row]] = {
    "messages": messages_row,
    "prompt_completion": prompt_completion_row,
    "alpaca": alpaca_row,
    "sharegpt": sharegpt_row,
    "openai": openai_row,
}
LLAMA_FACTORY: dict[str, Row] = {
    "alpaca": {
        "columns": {
            "prompt": "instruction",
            "query": "input",
            "response": "output",
            "system": "system",
            "history": "history",
        }
    },
    "sharegpt": {"formatting": "sharegpt", "columns": {"messages": "conversations", "system": "system"}},
}


def export_arm(run: RunFolder, arm: str, formats: Sequence[str], name: str) -> dict[str, dict[str, int]]:
    """Write `examples/<arm>/exports/<format>.<split>.jsonl`; returns rows, and rows whose loss mask is lost, by format.

    For LLaMA-Factory there is a `dataset_info.json`. Raises `BuildError` for preference pairs where there is no form.
    """
    counts = {form: {"rows": 0, "masks_lost": 0} for form in formats}
    for form in formats:
        for split in ("train", "dev"):
            with run.writing("examples", arm, "exports", f"{form}.{split}.jsonl") as stream:
                for example in run.read_records(TrainingExample, "examples", arm, f"{split}.parquet"):
                    stream.write((_line(form, example) + "\n").encode())
                    counts[form]["rows"] += 1
                    counts[form]["masks_lost"] += form != "openai" and _is_masked(example)
    described = _dataset_info(formats, f"{name}_{arm}")
    if described:
        run.write_json(described, "examples", arm, "exports", "dataset_info.json")
    return counts


def _line(form: str, example: TrainingExample) -> str:
    if example.rejected is not None and form != "prompt_completion":
        raise BuildError(f"build.exports: {form} has no form for preference pairs here; use prompt_completion")
    return json.dumps(FORMATS[form](example), ensure_ascii=False)


def _dataset_info(formats: Sequence[str], name: str) -> Row:
    return {
        f"{name}_{form}_{split}": {"file_name": f"{form}.{split}.jsonl", **LLAMA_FACTORY[form]}
        for form in formats
        if form in LLAMA_FACTORY
        for split in ("train", "dev")
    }


def _is_masked(example: TrainingExample) -> bool:
    return bool(split_prefix(example)[1]) or not all(span.learn for span in example.target)


def _dicts(turns: Sequence[Message]) -> list[Row]:
    return [{"role": turn.role, "content": turn.content} for turn in turns]


def _system(turns: Sequence[Message]) -> str:
    return "\n".join(turn.content for turn in turns if turn.role == "system")


def _text(spans: Sequence[Span]) -> str:
    return "".join(span.text for span in spans)
