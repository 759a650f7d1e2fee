"""One page over all rounds of a config: what each collected, trained and scored, with links to each round's report.

Written by `lema run` after every round. The paired comparison of all models beside it is `lema compare`'s page.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

from lema_ray.evaluation.compare_runs import RunComparison, compare_runs, write_comparison
from lema_ray.evaluation.scores import Score
from lema_ray.report.formats import count, percent
from lema_ray.runs import RunFolder


@dataclass(frozen=True, slots=True)
class Round:
    """One row of the table."""

    name: str
    student: str
    collected: dict[str, Any]
    rows: dict[str, int]
    scores: tuple[Score, ...]


def write_rounds(folder: str, runs: Sequence[RunFolder]) -> str:
    """`report.html` and the comparison into a folder beside those of the rounds; returns where the page is."""
    found = compare_runs([run.root for run in runs])
    out = RunFolder(folder)
    write_comparison(found, out.root)
    out.write_text(_page([_round(run, found, len(runs)) for run in runs]), "report.html")
    return out.uri("report.html")


def _round(run: RunFolder, found: RunComparison, rounds: int) -> Round:
    import yaml

    stages, config = run.manifest["stages"], yaml.safe_load(run.read_text("config.yaml"))
    name = run.root.rsplit("/", 1)[-1]
    prefix = f"{name}/" if rounds > 1 else ""
    arms = stages.get("train", {}).get("arms", {})
    return Round(
        name=name,
        student=", ".join(str(s["engine"]["model"]) for s in config["students"]),
        collected={key: value for key, value in stages.get("collect", {}).items() if isinstance(value, int)},
        rows={arm: int(counts.get("examples", 0)) for arm, counts in arms.items()},
        scores=tuple(s for s in found.scores if s.model.startswith(prefix)),
    )


def _page(rounds: Sequence[Round]) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(loader=PackageLoader("lema_ray", "report"), autoescape=True, undefined=StrictUndefined)
    environment.filters.update(percent=percent, count=count)
    style = resources.files("lema_ray").joinpath("report", "page.css").read_text()
    return environment.get_template("rounds.html").render(rounds=rounds, style=Markup(style))
