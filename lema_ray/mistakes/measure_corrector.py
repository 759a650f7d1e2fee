"""`lema score-corrector`: open a config's corrector, ask it about labelled files, and say how well it did. No Ray."""

from __future__ import annotations

import asyncio
import json
import tempfile
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Any

from lema_ray.config import ConfigError, EngineSpec, OpenAISpec, RunConfig
from lema_ray.engines import open_engine
from lema_ray.mistakes.analysis import Analyzer
from lema_ray.mistakes.labelled import Labelled, read_labelled
from lema_ray.mistakes.score_corrector import Judged, by_source, judge_all


def measure_corrector(config: RunConfig, files: list[Path], limit: int | None, out: Path | None) -> str:
    """The scores as Markdown. Raises `ConfigError` for bad files, `EngineUnavailable` when nobody answers."""
    rows = [row for file in files for row in islice(read_labelled(file), limit)]
    if not rows:
        raise ConfigError("no labelled rows: name files with --labelled FILE (JSONL with problem, steps and label)")
    analyzer = Analyzer(config.recipe.analysis)
    found = by_source(_judged(config.corrector.engine, rows, analyzer), analyzer.taxonomy)
    if out is not None:
        out.write_text(json.dumps({"corrector": config.corrector.engine.model, "scores": found}, indent=2) + "\n")
    return to_markdown(found)


def _judged(spec: EngineSpec, rows: list[Labelled], analyzer: Analyzer) -> list[Judged]:
    from lema_ray.engines.launch import launched

    async def ask(engine_spec: EngineSpec) -> list[Judged]:
        engine = open_engine(engine_spec)
        await engine.start()
        try:
            return await judge_all(rows, engine, analyzer)
        finally:
            await engine.close()

    with ExitStack() as stack:
        if isinstance(spec, OpenAISpec) and spec.launch:
            log = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lema-")), "corrector.log")
            spec = stack.enter_context(launched(spec, log))
        return asyncio.run(ask(spec))


def to_markdown(found: dict[str, dict[str, Any]]) -> str:
    """The scores as a table, a row per source."""
    heads = ("source", "wrong: found", "within 1", "early/late/none", "one guess", "right: left alone", "F1")
    lines = ["| " + " | ".join((*heads, "type macro-F1", "ECE", "unreadable")) + " |", "|---" * (len(heads) + 3) + "|"]
    for source, one in found.items():
        cells = (
            source,
            _shown(one["wrong"]),
            _shown(one["wrong_within_1"]),
            f"{one['too_early']}/{one['too_late']}/{one['called_right']}",
            str(one["always_one_step"]),
            _shown(one["right"]),
            "-" if one["f1"] is None else f"{100 * one['f1']:.1f}",
            f"{one['types']['macro_f1']:.2f} ({one['types']['accuracy']['rows']:.0f})" if one["types"] else "-",
            f"{one['calibration']['expected_error']:.2f}" if one["calibration"] else "-",
            ", ".join(f"{reason} {n}" for reason, n in one["failed"].items()) or "0",
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _shown(share: dict[str, float] | None) -> str:
    if share is None:
        return "-"
    low, high = (f"{100 * share[end]:.0f}" for end in ("low", "high"))
    return f"{share['hits']:.0f}/{share['rows']:.0f} = {share['share']:.1%} ({low} to {high})"
