"""Agreement on what is wrong, measured by the questions' own tests, which no solution or test was chosen by.

`solver_verifier` notes it in each correction; `lema collusion` counts it over a run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from lema_ray.config import SandboxConfig
from lema_ray.grading.program_tests import ProgramTest
from lema_ray.grading.programs import program_of, run_tests
from lema_ray.records import GradedQuestion

BELIEVED, TESTS = "held_out", "tests_held_out"


def held_out(
    graded: GradedQuestion, attempt_id: str, tests: Sequence[ProgramTest], sandbox: SandboxConfig
) -> dict[str, str]:
    """What the question's own tests say of an attempt, and how many `tests` its own solution passes."""
    verdict = next(g.grade.verdict for g in graded.attempts if g.attempt.id == attempt_id)
    own = program_of(graded.question.solution or "")
    if not tests or own is None:
        return {BELIEVED: verdict}
    return {BELIEVED: verdict, TESTS: f"{sum(run_tests(own[0], tests, sandbox).held)} of {len(tests)}"}


def count_collusion(rows: Iterable[GradedQuestion]) -> str:
    """The rates over all corrections of a run that note them, as text."""
    believed, tests, drops = Counter[str](), Counter[str](), Counter[str]()
    attempts = Counter[str]()
    for row in rows:
        attempts.update(g.grade.verdict for g in row.finished)
        drops.update(f"{d.stage} {d.reason}" for d in row.drops)
        for fields in (c.fields for c in row.corrections if BELIEVED in c.fields):
            believed[fields[BELIEVED]] += 1
            right, _, all_tests = fields.get(TESTS, "0 of 0").partition(" of ")
            tests.update({"right": int(right), "wrong": int(all_tests) - int(right)})
    lines = [
        f"attempts: {_shares(attempts)}",
        f"solutions believed: {_shares(believed)}; wrong ones are collusion",
        f"tests taught, by the questions' own solutions: {_shares(tests)}",
    ]
    return "\n".join([*lines, *(f"dropped, {what}: {count}" for what, count in drops.most_common())])


def _shares(counts: Counter[str]) -> str:
    total = counts.total()
    return ", ".join(f"{n} {what} ({n / total:.1%})" for what, n in sorted(counts.items()) if n) or "none"
