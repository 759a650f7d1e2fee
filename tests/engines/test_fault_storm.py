"""Corrections against an endpoint where three answers in ten go wrong in every way there is.

`LEMA_STORM=5000 pytest tests/engines/test_fault_storm.py -s` is the full storm; what it gave is in docs/reliability.md.
"""

from __future__ import annotations

import asyncio
import os
import resource
import time
from collections import Counter
from pathlib import Path

import pytest

from lema_ray.config import OpenAISpec, RecipeConfig
from lema_ray.corrections import correct_question
from lema_ray.demo.faults import parse_faults
from lema_ray.demo.server import ServerOptions, running
from lema_ray.demo.word_problems import generate
from lema_ray.engines.openai import OpenAIEngine
from lema_ray.engines.replay import PaidEngine
from lema_ray.recipes import open_recipe
from lema_ray.records import Attempt, Grade, GradedAttempt, GradedQuestion
from lema_ray.runs import RunFolder
from lema_ray.spending.paid import PaidLog, read_paid
from lema_ray.spending.paid_index import read_index

ROWS = int(os.environ.get("LEMA_STORM", "300"))
FAULTS = "all=0.3,slow=0.01:0.1,hang=0.01:30,slow_bytes=0.01:30"
REASONS = {
    "empty": "empty_reply",
    "refusal": "content_filter",
    "content_filter": "content_filter",
    "length": "cut_off",
    "huge": "reply_too_long",
    "wrong_json": "malformed_reply",
    "other_json": "unreadable_reply",
}
"""What is dropped for what. All other faults are asked again, or leave an answer that can be used."""


def wrong_rows() -> list[GradedQuestion]:
    rows = []
    for problem in generate(ROWS, 7):
        attempt = Attempt(f"{problem.question.id}/0", "Step 1: I guess it is 7 + 1 = 8.\nThe answer is 8.", "guesser")
        rows.append(GradedQuestion(problem.question, (GradedAttempt(attempt, Grade("wrong", "8")),)))
    return rows


async def corrected(url: str, run: RunFolder) -> list[GradedQuestion]:
    spec = OpenAISpec(model="rule-based-teacher", base_url=url, concurrency=64, timeout_s=3.0, max_retries=8)
    engine = OpenAIEngine(spec)
    await engine.start()
    paid = PaidEngine(engine, PaidLog(run, "storm"), read_index(run), "corrections")
    recipe = open_recipe(RecipeConfig())
    work = [correct_question(row, paid.for_row(row.question.id), recipes=[recipe]) for row in wrong_rows()]
    try:
        return list(await asyncio.gather(*work))
    finally:
        await engine.close()


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@pytest.mark.timeout(1200)
def test_every_row_is_accepted_or_dropped_for_its_reason(tmp_path: Path) -> None:
    run, before = RunFolder(str(tmp_path)), peak_mb()
    options = ServerOptions(faults=parse_faults(FAULTS), seed=11, retry_after_s=0.2, latency_s=0.05)
    with running(options) as url:
        import json
        import urllib.request

        began = time.monotonic()
        rows = asyncio.run(corrected(url, run))
        seconds = time.monotonic() - began
        outcomes = json.load(urllib.request.urlopen(url.replace("/v1", "/stats")))["outcomes"]
    dropped = Counter(drop.reason for row in rows for drop in row.drops)
    accepted = sum(bool(row.corrections) for row in rows)
    right_guesses = ROWS - accepted - dropped.total()
    print(
        f"\n{ROWS} rows in {seconds:.0f} s: {accepted} accepted, dropped {dict(dropped)}, +{peak_mb() - before:.0f} MB"
    )
    print(f"the server did {outcomes}")
    expected = Counter[str]()
    for fault, reason in REASONS.items():
        expected[reason] += outcomes.get(fault, 0)
    expected += Counter()
    assert dropped == expected
    assert right_guesses == 0 and accepted == ROWS - expected.total()
    # Whoever was charged is in the log: all that arrived whole but the JSON that was no completion.
    assert len(list(read_paid(run))) == ROWS - outcomes.get("wrong_json", 0)
    assert peak_mb() - before < 150 + ROWS * 0.01
