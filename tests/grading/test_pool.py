"""Slow comparisons run in processes that can be killed: one bad row costs one `unsure`, whatever the caller is."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lema_ray.grading import GradingPool, grade
from lema_ray.records import Question

HANGS = "\\boxed{(x+y+z+w+1)^{99}=5}"
SYMBOLIC = ("\\boxed{\\ln 9}", Question("", "", "2\\ln 3", "", "math"))


def math(text: str, reference: str) -> tuple[str, Question]:
    return text, Question("", "", reference, "", "math")


@pytest.fixture(scope="module")
def pool() -> Iterator[GradingPool]:
    with GradingPool(timeout_s=4, processes=1) as pool:
        yield pool


def test_plain_answers_start_no_process_and_import_no_sympy() -> None:
    code = (
        "import sys; from lema_ray.grading import *; from lema_ray.grading.pool import shared_pool\n"
        "assert grade('The answer is 1,000 eggs.', '1000').verdict == 'right'\n"
        "assert grade('So (B).', 'B', task='choice', choices=['tea', 'milk']).verdict == 'right'\n"
        "assert not shared_pool().pids and not {'sympy', 'math_verify'} & sys.modules.keys()"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2]).returncode == 0


def test_a_hang_is_killed_and_costs_one_row_in_order(pool: GradingPool) -> None:
    pool.grade_all([SYMBOLIC])
    started = time.monotonic()
    grades = pool.grade_all(
        [SYMBOLIC, math(HANGS, "(x+y)^2=1"), math("\\boxed{\\sqrt{18}}", "3\\sqrt{2}"), math("8", "7")]
    )
    assert [g.verdict for g in grades] == ["right", "unsure", "right", "wrong"]
    assert grades[1].rules == ("boxed", "timeout") and "4 s" in (grades[1].reason or "")
    assert time.monotonic() - started < 120


def test_a_killed_process_costs_one_row(pool: GradingPool) -> None:
    pool.grade_all([SYMBOLIC])
    (pid,) = pool.pids
    threading.Timer(0.5, os.kill, (pid, signal.SIGKILL)).start()
    grades = pool.grade_all([math(HANGS, "(x+y)^2=1"), SYMBOLIC])
    assert [(g.verdict, g.rules[-1]) for g in grades] == [("unsure", "crash"), ("right", "math_verify")]


def test_memory_is_bounded(pool: GradingPool) -> None:
    grades = pool.grade_all([math("\\boxed{9999!^{9999}}", "x+1"), SYMBOLIC])
    assert [g.verdict for g in grades][1] == "right"
    assert grades[0].verdict != "right"


async def test_threads_and_async_code_may_share_a_pool(pool: GradingPool) -> None:
    items = [SYMBOLIC, math("\\boxed{\\ln 3}", "\\ln 4"), math("\\boxed{4}", "4")]
    several = await asyncio.gather(*(asyncio.to_thread(pool.grade_all, items) for _ in range(4)))
    assert [[g.verdict for g in grades] for grades in several] == [["right", "wrong", "right"]] * 4
    assert len(pool.pids) == 1


def test_nothing_is_left_behind_and_a_closed_pool_starts_again() -> None:
    pool = GradingPool(5.0, 2)
    with pool:
        pool.grade_all([SYMBOLIC, math("\\boxed{\\ln 3}", "\\ln 4")])
        pids = pool.pids
        assert len(pids) == 2
    assert pool.pids == [] and not any(Path(f"/proc/{pid}").exists() for pid in pids)
    assert pool.grade_all([SYMBOLIC])[0].verdict == "right"
    pool.close()


def test_a_script_without_a_main_guard_can_grade(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from lema_ray.grading import grade\nprint(grade('\\\\boxed{\\\\ln 9}', '2\\\\ln 3', task='math').verdict)\n"
    )
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, str(script)],
        env={**os.environ, "PYTHONPATH": root},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout == "right\n", done.stderr


def test_two_comparisons_that_disagree_are_unsure_and_rounding_is_no_equality(pool: GradingPool) -> None:
    pairs = {
        ("0.69314718", "\\ln 2"): "unsure",  # equal to math-verify's six places, not in truth
        ("1.7320508", "\\sqrt{3}"): "wrong",
        ("1.73", "\\sqrt{3}"): "wrong",
        ("3^{-60}", "3^{-61}"): "wrong",  # equal to math-verify
        ("\\sqrt{3}", "1.73"): "right",  # the reference is rounded
        ("(1+i)^2", "2i"): "right",
        ("5\\pi", "5π"): "right",
        ("2<x<5", "(2,5)"): "right",
    }
    grades = pool.grade_all([math(f"\\boxed{{{answer}}}", reference) for answer, reference in pairs])
    assert {pair: g.verdict for pair, g in zip(pairs, grades, strict=True)} == pairs


def test_one_text_at_a_time() -> None:
    graded = grade("So \\boxed{\\ln 9}.", "2\\ln 3", task="math")
    assert (graded.verdict, graded.answer, graded.rules) == ("right", "\\ln 9", ("boxed", "math_verify"))
    assert grade("Cut off in the", "3").rules == ("no_answer",)
    assert grade("She sells 6 of 24 eggs.", "6").rules == ("last_number", "number")
