"""How a trained model is asked: with the instruction that questions had in its training. Called by `app`, `policies`.

A small model that was taught with "Solve this step by step, ..." under each question hardly answers without it, and
people who use the endpoint do not know of it.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq

from lema_ray.attempts import INSTRUCTIONS
from lema_ray.records import Task
from lema_ray.runs import RunFolder
from serve.config import ServeConfig
from serve.openai_form import message_text
from serve.requests import ChatBody


def with_task(config: ServeConfig) -> ServeConfig:
    """The config with `task: auto` looked up."""
    return config.model_copy(update={"task": _task_of(config.model) or "none"}) if config.task == "auto" else config


def _task_of(model: str) -> Task | None:
    """What the questions of the run that trained a model are, if all are of one kind; `models/ARM` lies in its run."""
    if model == "demo/word-problems":
        return "arithmetic"
    folder = Path(model).absolute()
    for run in (folder, folder.parent.parent):
        if (run / "config.yaml").is_file() and (tasks := _tasks(RunFolder(str(run)))):
            return tasks.pop() if len(tasks) == 1 else None
    return None


def _tasks(run: RunFolder) -> set[Task]:
    splits = [split for split in ("test", "train") if run.exists("questions", f"{split}.parquet")]
    if not splits:
        return set()
    # The one column: there may be millions of questions.
    with run.opened("questions", f"{splits[0]}.parquet") as file:
        return set(pq.read_table(file, columns=["task"])["task"].unique().to_pylist())


def as_taught(body: ChatBody, task: Task | None) -> ChatBody:
    """The chat with the task's instruction under its last question, where it has none."""
    last = body.messages[-1]
    text = message_text(last.content)
    asks = last.role == "user" and text.strip() and not (body.tools or body.response_format)
    if task is None or not asks or text.rstrip().endswith(tuple(INSTRUCTIONS.values())):
        return body
    asked = last.model_copy(update={"content": f"{text}\n\n{INSTRUCTIONS[task]}"})
    return body.model_copy(update={"messages": [*body.messages[:-1], asked]})
