"""Actor pools for Ray Data: one class that holds an engine, one that grades. Used by `on_ray.collect`.

Rows travel as Arrow tables of `GradedQuestion` with the question's id as first column.
"""

from __future__ import annotations

import asyncio
import errno
import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pyarrow as pa
import ray

from lema_ray import arrow
from lema_ray.config import EngineSpec, GradingConfig, OpenAISpec
from lema_ray.engines import Engine, EngineUnavailable, Generate, open_engine
from lema_ray.engines.replay import PaidEngine
from lema_ray.errors import LemaError
from lema_ray.grading import GradingPool
from lema_ray.on_ray import metrics
from lema_ray.on_ray.deaths import MOST_DEATHS, last_words, own_log
from lema_ray.on_ray.limiter import shared_leases
from lema_ray.on_ray.logs import log, log_drops
from lema_ray.on_ray.progress import report
from lema_ray.on_ray.unwaited import call_unwaited
from lema_ray.records import Dropped, GradedAttempt, GradedQuestion
from lema_ray.spending.paid import PaidLog
from lema_ray.spending.paid_index import PaidIndex, read_index

ROW_TRIES = 2
"""Times that a row's work may fail for a reason that nobody foresaw."""
WATCH_S = 10.0
STALLED_S = 300.0
"""A row that takes longer is reported, with its actor and what it waits for."""

Work = Callable[..., Awaitable[GradedQuestion]]
"""`await work(graded, generate)`; in a pool that holds a student too, with `student=` that one."""


def to_rows(records: list[GradedQuestion]) -> pa.Table:
    """Rows for the next stage or the sink."""
    table = arrow.to_table(records, GradedQuestion)
    return table.add_column(0, "id", pa.array([r.question.id for r in records], pa.string()))


def from_rows(table: pa.Table) -> list[GradedQuestion]:
    """The records of some rows."""
    return arrow.from_table(GradedQuestion, table)


@dataclass(frozen=True, slots=True)
class Paying:
    """What the actors of endpoints share: where answers are kept, and the actor with the limits and the budget."""

    paid: PaidIndex
    limiters: Any


class HeldEngine:
    """An engine in an actor. An endpoint leases from the run's limiters, and its answers are in the paid log."""

    def __init__(self, spec: EngineSpec, stage: str, paying: Paying | None, role: str = "") -> None:
        paying = paying if isinstance(spec, OpenAISpec) else None
        leases = partial(shared_leases, paying.limiters) if paying else None
        self.engine = open_engine(spec, leases, paying.paid.run if paying else None)
        self._paid = None if paying is None else _kept(self.engine, paying.paid, stage, role)

    async def keep(self) -> None:
        """Wait until the log has what was received: a finished row must not be there without it."""
        if self._paid is not None and not self._paid.log.appends:
            await asyncio.to_thread(self._paid.log.flush)

    def for_row(self, row: str) -> Generate:
        """The engine as the work on one row sees it."""
        return self.engine if self._paid is None else self._paid.for_row(row)


class EnginePool:
    """Holds an engine and runs one coroutine per row, so that the engine always has many requests at once.

    With `student` it holds that engine as well, for recipes that ask both; the same spec twice is one engine.
    """

    def __init__(
        self,
        spec: EngineSpec,
        work: Work,
        stage: str,
        progress: Any,
        paying: Paying | None = None,
        student: EngineSpec | None = None,
    ) -> None:
        self._held = HeldEngine(spec, stage, paying)
        self._engine = self._held.engine
        self._student: HeldEngine | None = None
        if student is not None:
            self._student = self._held if student == spec else HeldEngine(student, stage, paying, "-student")
        self._work = work
        self._report = (stage, progress)
        self._started: asyncio.Task[None] | None = None
        self._since: dict[str, float] = {}
        self._run = ""
        self._worked = False

    async def __call__(self, batch: pa.Table) -> pa.Table:
        stage, progress = self._report
        before = from_rows(batch)
        try:
            after = await self._answered(before)
        except LemaError as error:
            log.error("%s", error, extra={"run": self._run, "stage": stage})
            # Ray Data keeps the text of an actor's error but not the error: the driver asks for it here.
            await progress.fail.remote(error)
            raise
        report(progress, stage, before, after)
        log_drops(self._run, stage, before, after)
        return to_rows(after)

    async def _answered(self, rows: list[GradedQuestion]) -> list[GradedQuestion]:
        if self._started is None:
            self._started = asyncio.create_task(self._start())
            self._watch = asyncio.create_task(self._watching())
        await asyncio.shield(self._started)
        done = await asyncio.gather(*map(self._done, rows))
        await asyncio.gather(*(one.keep() for one in self._all_held))
        return list(done)

    @property
    def _all_held(self) -> set[HeldEngine]:
        return {self._held, self._student or self._held}

    async def _start(self) -> None:
        """Open what is held, unless the processes that tried before all died of it."""
        stage, progress = self._report
        self._run = await progress.run.remote()
        words = await progress.began.remote(_this_actor(), own_log())
        if words is not None:
            raise EngineUnavailable(
                f"{stage}: the process with {self._engine.model} died {MOST_DEATHS} times before a row was done. "
                f"Its last words:\n{last_words(words)}"
            )
        await asyncio.gather(*(one.engine.start() for one in self._all_held))
        log.info("%s is ready", self._engine.model, extra={"run": self._run, "stage": stage})

    async def _done(self, graded: GradedQuestion) -> GradedQuestion:
        """One row's work. A row that it fails on again and again is given up, with the error, and not the run."""
        row, error = graded.question.id, None
        self._since[row] = time.monotonic()
        try:
            for _ in range(ROW_TRIES):
                try:
                    done = await self._work_on(graded)
                    self._tell_of_first()
                    return done
                except Exception as failure:
                    error = stage_error(failure)
                    # An error of the machine has a number, and is nobody's row; nor is what the limiter's actor met.
                    if isinstance(error, LemaError | ray.exceptions.RayError) or getattr(error, "errno", None):
                        raise error from None
                    about = {"run": self._run, "stage": self._report[0], "question": row}
                    log.warning("%s: %s", type(error).__name__, error, extra=about)
        finally:
            self._since.pop(row, None)
        drop = Dropped(self._report[0].split()[0], row, "poison_row", f"{type(error).__name__}: {error}"[:300])
        return replace(graded, drops=(*graded.drops, drop))

    def _tell_of_first(self) -> None:
        if not self._worked:
            self._worked = True
            call_unwaited(self._report[1], "worked", _this_actor())

    async def _watching(self) -> None:
        """Tell the driver of rows that nothing came of for long, and what they wait for."""
        stage, progress = self._report
        while True:
            await asyncio.sleep(WATCH_S)
            metrics.put("lema_queue_rows", len(self._since), stage=stage)
            late = [row for row, since in self._since.items() if time.monotonic() - since > STALLED_S]
            told = describe_stall(late, _this_actor(), waiting_for(self._engine))
            for row in late:
                log.warning("no progress", extra={"run": self._run, "stage": stage, "question": row})
            call_unwaited(progress, "stalled", stage, f"{os.getpid()}", told if late else None)

    async def _work_on(self, graded: GradedQuestion) -> GradedQuestion:
        row = graded.question.id
        students = {} if self._student is None else {"student": self._student.for_row(row)}
        return await self._work(graded, self._held.for_row(row), **students)


def _this_actor() -> str:
    return str(ray.get_runtime_context().get_actor_id())


def waiting_for(engine: Engine) -> str:
    """What the calls of an engine wait for, where it can tell."""
    return str(getattr(engine, "waiting", f"{engine.model} to answer"))


def describe_stall(rows: list[str], actor: str, waiting: str) -> str:
    """One line about rows without progress."""
    shown = ", ".join(rows[:5]) + (f" and {len(rows) - 5} more" if len(rows) > 5 else "")
    return f"no progress for {STALLED_S:g} s on {len(rows)} rows ({shown}) in actor {actor[:8]}, waiting for {waiting}"


def _kept(engine: Engine, paid: PaidIndex, stage: str, role: str) -> PaidEngine:
    """An actor that Ray starts again has its old id, and by it finds what it received before it died."""
    writer = f"{_this_actor()}{role}"
    return PaidEngine(engine, PaidLog(paid.run, writer), paid + read_index(paid.run, writer=writer), stage)


class GradePool:
    """Grades every ungraded attempt of its rows; slow comparisons run in processes that can be killed."""

    def __init__(self, config: GradingConfig, stage: str, progress: Any) -> None:
        self._pool = GradingPool(config.timeout_s, config.processes, config.sandbox)
        self._pool.__enter__()
        self._report = (stage, progress)

    def __call__(self, batch: pa.Table) -> pa.Table:
        before = from_rows(batch)
        after = grade_questions(before, self._pool)
        stage, progress = self._report
        report(progress, stage, before, after)
        return to_rows(after)


def grade_questions(rows: list[GradedQuestion], pool: GradingPool) -> list[GradedQuestion]:
    """The rows with every ungraded attempt graded, all in one call so that the pool's processes share the work."""
    ungraded = [(g.attempt.text, row.question) for row in rows for g in row.attempts if g.grade.rules == ("ungraded",)]
    grades = iter(pool.grade_all(ungraded))
    return [
        replace(
            row,
            attempts=tuple(
                GradedAttempt(g.attempt, next(grades)) if g.grade.rules == ("ungraded",) else g for g in row.attempts
            ),
        )
        for row in rows
    ]


def stage_error(error: BaseException) -> BaseException:
    """The exception that our own code raised inside an actor or a task, out of what Ray wraps around it."""
    if "No space left on device" in str(error):
        return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    cause = error.cause if isinstance(error, ray.exceptions.RayTaskError) else None
    return cause if isinstance(cause, LemaError | OSError) else error
