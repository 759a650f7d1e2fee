"""What a run has done and what it is doing, from its folder alone: on any machine that can read it. `lema status`.

Nothing is asked of a cluster, so it answers about a run whose driver is gone, and costs a run nothing.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pyarrow.parquet as pq
import yaml

from lema_ray.runs import RunFolder
from lema_ray.spending.paid import read_paid
from lema_ray.training.note import NOTE, describe_note, read_note

STAGES = ("questions", "collect", "build", "train", "evaluate")


def status_lines(run: RunFolder) -> Iterator[str]:
    """One line a finished stage, what is known of the next, the money, and when something was last written."""
    config = yaml.safe_load(run.read_text("config.yaml"))
    manifest = run.manifest
    yield f"{run.root}: lema-ray {manifest.get('versions', {}).get('lema-ray', 'of an unknown version')}"
    done = manifest["stages"]
    for stage in STAGES:
        if stage in done:
            yield f"  {stage:<10} done in {done[stage]['seconds']:.0f} s"
    next_one = next((stage for stage in STAGES if stage not in done), None)
    if next_one:
        yield f"  {next_one:<10} {_doing(run, next_one) or 'not begun'}"
    yield from _money(run, config)
    age = time.time() - run.last_written()
    yield f"  last written {age:.0f} s ago" + (
        "" if next_one else "; finished: report.html" * run.exists("report.html")
    )


def _doing(run: RunFolder, stage: str) -> str | None:
    """What the files of an unfinished stage tell."""
    if stage == "collect":
        return _collected(run)
    if stage == "train":
        noted = [name.split("/")[0] for name in run.files("checkpoints", suffix=f"/{NOTE}")]
        notes = [(model, read_note(run, model)) for model in noted]
        return "; ".join(describe_note(model, note) for model, note in notes if note) or None
    if stage == "evaluate":
        parts = run.files("evaluating", suffix=".parquet")
        return f"{len(parts)} chunks of answers" if parts else None
    return None


def _collected(run: RunFolder) -> str | None:
    files = run.files("collected", suffix=".parquet")
    prepared = (run.stage("questions") or {}).get("train", {}).get("questions")
    if not files or not prepared:
        return None
    rows = 0
    for name in files:
        with run.opened("collected", name) as stream:
            try:
                rows += pq.ParquetFile(stream).metadata.num_rows
            except OSError:  # being written
                continue
    return f"{rows} of {prepared} questions"


def _money(run: RunFolder, config: dict[str, object]) -> Iterator[str]:
    paid, cost, tokens = 0, 0.0, 0
    for one in read_paid(run):
        paid, cost = paid + 1, cost + one.completion.cost
        tokens += one.completion.prompt_tokens + one.completion.completion_tokens
    if paid:
        cap = config["budget"]["money"]  # type: ignore[index]
        yield f"  paid       {paid} answers, {tokens} tokens, {cost:.4f}" + (f" of {cap:g}" if cap is not None else "")
