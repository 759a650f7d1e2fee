"""The model card of a trained model: data, method, settings, counts and the base's licence; later its scores.

`saved_model` writes it where the weights are saved, `on_ray.flow` adds the scores of each evaluation.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from lema_ray.attempts import INSTRUCTIONS
from lema_ray.records import Task, TrainingExample
from lema_ray.runs import RunFolder

SCORES = "\n## Scores\n"
LOOKED_AT = 10_000
KINDS = {
    "full": "full fine-tuning",
    "merged": "merged LoRA adapter (the adapter itself is in `adapter/`)",
    "adapter": "LoRA adapter, to be loaded on top of that model",
}


def model_card(card: Mapping[str, Any]) -> str:
    """A Hugging Face model card from what `loop` knows of a training: base, arm, method, data, settings and counts."""
    counts = "\n".join(f"| {name.replace('_', ' ')} | {value} |" for name, value in card["counts"].items())
    settings = "\n".join(f"| {name} | {value} |" for name, value in card.get("settings", {}).items())
    licence = base_licence(card["base"])
    return f"""---
base_model: {card["base"]}
library_name: {"peft" if card["kind"] == "adapter" else "transformers"}
pipeline_tag: text-generation
{f"license: {licence}" if licence else "license: other"}
tags: [{"lora, " if card["kind"] == "adapter" else ""}trl, {card["objective"]}, lema-ray, self-correction]
---
# {card["arm"]}

{card["base"]}, fine-tuned by lema-ray on the training set `{card["arm"]}` with TRL and DeepSpeed:
{card["objective"].upper()}, {KINDS[card["kind"]]}.

Data: questions from {card.get("questions", "a source of its own")}, corrected by the method
{card.get("recipe", "of the run")}; the run's `examples/card.md` has the counts by kind and whom to cite.
{_how_to_ask(card.get("tasks", ()))}
| counts | |
|---|---|
{counts}

| settings | |
|---|---|
| seed | {card.get("seed", 0)} |
{settings}

Licence: that of the base model ({licence or "not stated in its folder"}) applies to these weights; the training data
carries that of its questions and of the model that wrote the corrections. Check all three before you publish.
"""


def taught_tasks(run: RunFolder, arm: str) -> list[Task]:
    """The tasks whose instruction ends the request of some of the arm's first `LOOKED_AT` rows."""
    rows = islice(run.read_records(TrainingExample, "examples", arm, "train.parquet"), LOOKED_AT)
    ends = {row.prompt[-1].content.rpartition("\n")[2] for row in rows}
    return [task for task, said in INSTRUCTIONS.items() if said in ends]


def _how_to_ask(tasks: Iterable[Task]) -> str:
    """What has to stand under a question, as it did in training; nothing where no row had an instruction."""
    said = [f"\n    {INSTRUCTIONS[task]}\n" for task in tasks]
    if not said:
        return ""
    which = "this, after an empty line" if len(said) == 1 else "one of these, after an empty line"
    return f"\nAsk as it was taught: under each question {which}. `lema serve` adds it (`task`).\n" + "".join(said)


def base_licence(base: str) -> str | None:
    """The licence in the header of the base's own model card; None where its folder has none."""
    path = Path(base) / "README.md"
    header = path.read_text().split("---")[1:2] if path.exists() else []
    found = re.search(r"^license: *(\S+)", header[0], re.MULTILINE) if header else None
    return found[1] if found else None


def with_scores(card: str, scores: Iterable[tuple[str, str, str]]) -> str:
    """A model card with a table of (asked, pass@1, 95 % interval), in place of the one it had."""
    rows = "\n".join(f"| {' | '.join(row)} |" for row in scores)
    head = "On the run's held-out questions:\n\n| asked | pass@1 | 95 % interval |\n|---|---|---|\n"
    return f"{card.split(SCORES)[0]}{SCORES}\n{head}{rows}\n"
