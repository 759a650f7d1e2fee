"""`lema questions`: check the sources of a config, or one source by name, and list every row with something wrong."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from lema_ray.config import ConfigError, SourceConfig, load_config
from lema_ray.grading import grade
from lema_ray.questions import Mismatch, SourceCheck, check_source
from lema_ray.records import Dropped


def check_sources(target: str, settings: Sequence[str]) -> int:
    """Print a line for every bad row and a summary per source; 1 when a reference answer does not grade right."""
    bad = 0
    for name, source in _sources(target, settings).items():
        check = check_source(source, grade, _show)
        print(_summary(name, source, check))
        bad += check.rows - check.verdicts["right"] - sum(check.dropped.values())
    return int(bad > 0)


def _sources(target: str, settings: Sequence[str]) -> dict[str, SourceConfig]:
    if Path(target).suffix in (".yaml", ".yml"):
        questions = load_config(target, settings).questions
        return {"train": questions.train} | ({"test": questions.test} if questions.test else {})
    fields: dict[str, Any] = {"source": target}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise ConfigError(f"{setting!r}: expected key=value, such as path=questions.jsonl")
        node = fields
        *parents, last = key.split(".")
        for parent in parents:
            node = node.setdefault(parent, {})
        node[last] = yaml.safe_load(value)
    try:
        return {target: SourceConfig.model_validate(fields)}
    except ValidationError as error:
        details = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise ConfigError(f"source {target}: {details}") from None


def _show(item: Mismatch | Dropped) -> None:
    if isinstance(item, Dropped):
        print(f"{item.id}: dropped, {item.reason}: {item.detail}")
        return
    reason = f" ({item.grade.reason})" if item.grade.reason else ""
    print(
        f"{item.where}: {item.grade.verdict}{reason}: the reference is {item.question.reference!r}, "
        f"its own text gives {item.grade.answer!r}: {' '.join(item.question.text.split())[:100]}"
    )


def _summary(name: str, source: SourceConfig, check: SourceCheck) -> str:
    verdicts = ", ".join(f"{count} {verdict}" for verdict, count in sorted(check.verdicts.items()))
    dropped = "".join(f", {count} dropped ({reason})" for reason, count in sorted(check.dropped.items()))
    return f"{name} ({source.source}): {check.rows} rows, own answers grade: {verdicts or 'none'}{dropped}"
