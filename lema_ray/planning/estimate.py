"""The plan of a run as text, from its questions and perhaps a few paid calls. For `lema estimate` and `--dry-run`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lema_ray.config import RunConfig
from lema_ray.planning.plan import Asking, askings, describe, plan_calls
from lema_ray.planning.probe import probe
from lema_ray.records import Message, Question


def estimate(config: RunConfig, probes: int = 0, sample_size: int = 100) -> tuple[str, list[Asking]]:
    """The plan from reading the training questions, and what is asked. `probes` calls a stage are made and paid."""
    from lema_ray.questions import read_questions

    rows = 0
    sample: list[Question] = []
    for _, item in read_questions(config.questions.train, config.seed):
        if isinstance(item, Question):
            rows += 1
            sample += [item] if len(sample) < sample_size else []
    asked = askings(config, rows, sample)
    return describe(plan_calls(asked, probe(asked, probes) if probes else {}), rows, probes), asked


def dry_run(config: RunConfig) -> str:
    """The plan and the first full prompts, from reading the training questions and nothing else."""
    plan, asked = estimate(config)
    return "\n".join([plan, "", *_first_prompts(asked)])


def _first_prompts(asked: Sequence[Asking]) -> Iterator[str]:
    for title, asking in (("student", asked[0]), ("corrector", asked[-1])):
        if asking.prompts and (title == "corrector" or asking.stage.startswith("attempts")):
            yield show_prompt(f"first prompt to the {title}", asking.prompts[0])


def show_prompt(title: str, messages: Sequence[Message]) -> str:
    """A full prompt as it will be sent."""
    turns = "\n".join(f"[{m.role}]\n{m.content}" for m in messages)
    return f"--- {title} ---\n{turns}\n"
