"""What a running stage has done so far: one small actor that pools report to, and the driver's display of it.

Counts only, so nothing here grows with the data. Rich draws on a terminal; elsewhere a plain line every few seconds.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter as Reasons
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from typing import Any

import ray

from lema_ray.on_ray import metrics
from lema_ray.on_ray.deaths import Deaths
from lema_ray.on_ray.logs import are_structured, log_progress
from lema_ray.on_ray.unwaited import call_unwaited
from lema_ray.records import Analysis, Correction, Dropped, GradedQuestion, Judgement


@dataclass(frozen=True, slots=True)
class Counted:
    """What a stage did to some rows."""

    rows: int = 0
    attempts: int = 0
    made_wrong: int = 0
    right: int = 0
    wrong: int = 0
    unsure: int = 0
    cut_off: int = 0
    analyses: int = 0
    corrections: int = 0
    drops: int = 0
    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0

    @classmethod
    def of(cls, row: GradedQuestion) -> Counted:
        """All that has happened to one row."""
        own = [g for g in row.attempts if not g.attempt.by_recipe]
        verdicts = [g.grade.verdict for g in own if g.grade.rules != ("ungraded",)]
        attempts = [g.attempt for g in row.attempts]
        replies: list[Judgement | Analysis | Correction | Dropped] = [
            *row.judgements,
            *row.analyses,
            *row.corrections,
            *row.drops,
        ]
        paid = [*attempts, *replies]
        return cls(
            rows=1,
            attempts=len(own),
            made_wrong=len(row.attempts) - len(own),
            right=verdicts.count("right"),
            wrong=len(row.wrong) if verdicts else 0,
            unsure=verdicts.count("unsure"),
            cut_off=sum(g.attempt.finish_reason == "length" for g in row.attempts),
            analyses=len(row.analyses),
            corrections=len(row.corrections),
            drops=len(row.drops),
            requests=sum(a.origin != "imported" for a in attempts) + sum(r.requests for r in replies),
            prompt_tokens=sum(p.prompt_tokens for p in paid),
            completion_tokens=sum(p.completion_tokens for p in paid),
            cost=sum(p.cost for p in paid),
        )

    @classmethod
    def between(cls, before: Sequence[GradedQuestion], after: Sequence[GradedQuestion]) -> Counted:
        """What was added from one side of a stage to the other."""
        total = cls()
        for old, new in zip(before, after, strict=True):
            total = total + cls.of(new) - cls.of(old)
        return total + cls(rows=len(after))

    def __add__(self, other: Counted) -> Counted:
        return Counted(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def __sub__(self, other: Counted) -> Counted:
        return Counted(*(getattr(self, f.name) - getattr(other, f.name) for f in fields(self)))


class Progress:
    """Sums per stage; run as an actor by `open_progress`."""

    def __init__(self, run: str = "", rows: int = 0) -> None:
        self._run = run
        self._stages: dict[str, Counted] = {}
        self._failure: Exception | None = None
        self._stalls: dict[tuple[str, str], str] = {}
        self._deaths = Deaths()
        metrics.put("lema_rows_expected", rows, run=run)

    def run(self) -> str:
        return self._run

    def add(self, stage: str, counted: Counted, reasons: dict[str, int]) -> None:
        self._stages[stage] = self._stages.get(stage, Counted()) + counted
        metrics.count_stage(self._run, stage, counted, reasons)

    def fail(self, error: Exception) -> None:
        self._failure = self._failure or error

    def failure(self) -> Exception | None:
        return self._failure

    def began(self, actor: str, log: str) -> str | None:
        return self._deaths.began(actor, log)

    def worked(self, actor: str) -> None:
        self._deaths.worked(actor)

    def stalled(self, stage: str, actor: str, told: str | None) -> None:
        self._stalls.pop((stage, actor), None)
        if told is not None:
            self._stalls[stage, actor] = f"{stage}: {told}"
        metrics.put("lema_stalled", sum(s == stage for s, _ in self._stalls), run=self._run, stage=stage)

    def stalls(self) -> list[str]:
        return list(self._stalls.values())

    def stages(self) -> dict[str, dict[str, Any]]:
        return {stage: asdict(counted) for stage, counted in self._stages.items()}


def open_progress(run: str, rows: int) -> Any:
    """The actor that pools of a run over so many rows report to; it ends with its handle.

    One that dies comes back and counts from nothing, for the display only: a stage's counts are those of its rows.
    """
    return ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(Progress).remote(run, rows)


def report(progress: Any, stage: str, before: Sequence[GradedQuestion], after: Sequence[GradedQuestion]) -> None:
    """Tell the actor what a stage did to some rows, without waiting for it."""
    dropped = Reasons(d.reason for row in after for d in row.drops)
    dropped.subtract(d.reason for row in before for d in row.drops)
    call_unwaited(progress, "add", stage, Counted.between(before, after), dict(dropped))


@contextmanager
def shown(progress: Any, stages: Sequence[str], rows: int, every_s: float = 5.0) -> Iterator[None]:
    """Show rows, rates and what was accepted while the body runs."""
    with displayed(_show, progress, stages, rows, every_s):
        yield


@contextmanager
def displayed(show: Callable[..., None], *arguments: Any) -> Iterator[None]:
    """Run `show(*arguments, done)` in a thread beside the body; the event `done` tells it to end."""
    done = threading.Event()
    display = threading.Thread(target=show, args=(*arguments, done), daemon=True)
    display.start()
    try:
        yield
    finally:
        done.set()
        display.join(timeout=10)


def _show(progress: Any, stages: Sequence[str], rows: int, every_s: float, done: threading.Event) -> None:
    start = time.monotonic()
    if are_structured():
        _show_in_logs(progress, rows, every_s, done)
        return
    if sys.stderr.isatty():
        _show_on_terminal(progress, stages, rows, done, start)
        return
    while not done.wait(every_s):
        shown = lines(ray.get(progress.stages.remote()), stages, rows, time.monotonic() - start)
        for line in [*shown, *ray.get(progress.stalls.remote())]:
            print(line, file=sys.stderr, flush=True)


def _show_in_logs(progress: Any, rows: int, every_s: float, done: threading.Event) -> None:
    run, ended = ray.get(progress.run.remote()), False
    while not ended:
        ended = done.wait(every_s)
        log_progress(run, ray.get(progress.stages.remote()), rows)


def _show_on_terminal(progress: Any, stages: Sequence[str], rows: int, done: threading.Event, start: float) -> None:
    from rich.live import Live
    from rich.text import Text

    with Live(refresh_per_second=2, transient=True) as live:
        while not done.wait(0.5):
            counts = ray.get(progress.stages.remote())
            shown = lines(counts, stages, rows, time.monotonic() - start)
            live.update(Text("\n".join([*shown, *ray.get(progress.stalls.remote())])))


def lines(counts: dict[str, dict[str, Any]], stages: Sequence[str], rows: int, seconds: float) -> list[str]:
    """One line a stage: rows done, rate, time left, tokens per second, and what came out of it."""
    return [_line(stage, counts.get(stage, asdict(Counted())), rows, seconds) for stage in stages]


def _line(stage: str, counted: dict[str, Any], rows: int, seconds: float) -> str:
    done = counted["rows"]
    rate = done / seconds if seconds > 0 else 0.0
    left = f"{(rows - done) / rate:.0f} s left" if rate > 0 and done < rows else "done" if done >= rows else "waiting"
    parts = [f"{stage:<28}  {done}/{rows} rows", f"{rate:.1f}/s", left]
    if counted["completion_tokens"]:
        parts.append(f"{counted['completion_tokens'] / seconds:.0f} tokens/s")
    outcomes = ("right", "wrong", "unsure", "cut_off", "made_wrong", "analyses", "corrections", "drops")
    parts += [f"{counted[name]} {name.replace('_', ' ')}" for name in outcomes if counted[name]]
    if counted["cost"]:
        parts.append(f"cost {counted['cost']:.4f}")
    return "  ".join(parts)
