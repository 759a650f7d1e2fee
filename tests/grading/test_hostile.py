"""Text written to hang, crash or run something: graded in bounded time, never executed, never accepted."""

from __future__ import annotations

import resource
import time
from pathlib import Path

import pytest

from lema_ray.grading import GradingPool, grade
from lema_ray.records import Question

MEGABYTE = 1_000_000
HOSTILE = {
    "tower": "\\boxed{9^{9^{9^{9}}}}",
    "python tower": "The answer is 7**7**7**7.",
    "factorials": "\\boxed{((10^9)!)!}",
    "large exponent": "\\boxed{2^{88888888888}}",
    "exponent of a root": "\\boxed{\\sqrt{2}^{999999999}}",
    "many factors": "\\boxed{" + "999!" * 60 + "}",
    "expansion": "\\boxed{(x+y+z+w+1)^{4000}}",
    "sum": "\\boxed{\\sum_{n=1}^{1000000000000} n}",
    "deep brackets": "\\boxed{" + "(" * 50_000 + "1}",
    "deep braces": "\\boxed{" * 50_000 + "1",
    "deep fractions": "\\boxed{" + "\\frac{1}{" * 200 + "1" + "}" * 200 + "}",
    "digits": "8" * MEGABYTE,
    "words": "one hundred " * 100_000,
    "spaces": "The answer is" + " " * MEGABYTE + "5",
    "commas": "\\boxed{" + "1," * 500_000 + "}",
    "dollars": "$" * MEGABYTE,
    "answers": "The answer is 1. " * 60_000,
    "units": "\\boxed{5" + " cm" * 300 + "}",
    "relations": "\\boxed{" + "x<" * 500 + "1}",
    "nul": "\x00" * MEGABYTE + "The answer is 7",
    "half a pair": "The answer is \ud800",
    "right to left": "\u202e.5 si rewsna ehT",
    "empty": "",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_is_never_accepted_and_takes_seconds_at_most(name: str) -> None:
    started = time.perf_counter()
    assert grade(HOSTILE[name], "8").verdict != "right"
    assert time.perf_counter() - started < 20


def test_hostile_references_are_survived_too() -> None:
    for reference in HOSTILE.values():
        assert grade("The answer is 5.", reference[:10_000]).verdict in ("wrong", "unsure", "right")


@pytest.mark.parametrize(
    "code",
    [
        "__import__('os').system('touch {}')",
        "[open('{}','w').write('1')]",
        "exec(\"open('{}','w')\")",
        "\\input{{{}}}",
        "(lambda: open('{}', 'w'))()",
        "Symbol('x').subs('x', \"open('{}','w')\")",
    ],
)
def test_code_is_never_run(code: str, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    text = code.format(mark)
    for shown in (f"\\boxed{{{text}}}", f"The answer is {text}", f"#### {text}"):
        assert grade(shown, "1").verdict != "right"
        grade("The answer is 1", text)
    assert not mark.exists()


def test_a_batch_of_hostile_text_does_not_grow_the_process() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    items = [(text, Question("", "", "8", "")) for text in HOSTILE.values()]
    with GradingPool(timeout_s=2) as pool:
        for _ in range(3):
            assert len(pool.grade_all(items)) == len(items)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 200_000, f"{grown} kB"


def test_text_that_is_not_utf8_still_has_its_answer() -> None:
    assert grade("caf\udce9\x00 costs. The answer is 5.", "5").verdict == "right"
    assert grade("\\boxed{\udce9+\\sin x}", "\\cos x").verdict != "right"
