"""Programs in models' texts, tests as data, and grades by execution."""

from __future__ import annotations

import json

import pytest

from lema_ray.config import SandboxConfig
from lema_ray.grading import GradingPool, grade
from lema_ray.grading.program_tests import ProgramTest, read_tests, reference_tests, write_reference
from lema_ray.grading.programs import outcome_of, parses, program_of
from lema_ray.records import Question
from lema_ray.sandbox import Ran, Result, SandboxUnavailable, check_sandbox

REFERENCE = json.dumps(["assert f(1) == 2", "assert f(-1) == 0"])


@pytest.fixture(scope="module")
def isolated() -> None:
    try:
        check_sandbox(SandboxConfig())
    except SandboxUnavailable as error:
        pytest.skip(f"this machine permits no isolation: {error}")


@pytest.mark.parametrize(
    ("text", "program"),
    [
        ("Like this:\n```python\ndef f(x):\n    return x\n```\nDone.", "def f(x):\n    return x"),
        ("```\nx\n```\n```py\ndef f(): pass\n```\n```\noutput: 3\n```", "def f(): pass"),
        ("```python\ndef f(): pass", "def f(): pass"),
        ("Sure.\nimport math\ndef f(): pass", "import math\ndef f(): pass"),
        ("~~~\nclass A: pass\n~~~", "class A: pass"),
        ("Again\ndef f(): pass", "def f(): pass"),
        ("x = 1\ndef f(): return x", "x = 1\ndef f(): return x"),
        ("There is no way.", None),
        ("", None),
    ],
)
def test_the_program_in_a_text(text: str, program: str | None) -> None:
    found = program_of(text)
    assert (found and found[0]) == program


@pytest.mark.parametrize("program", ["def f(:", "", "1 + 1", "x = 1\0", "def f(): pass\n" * 9000, "(" * 9000])
def test_what_is_no_program(program: str) -> None:
    assert not parses(program)


def test_tests_are_read_in_any_form_and_written_in_one() -> None:
    check = (
        "def check(candidate):\n    for i in (1,):\n        assert candidate(i) == [i]\n    assert not candidate('')"
    )
    assert [str(t) for t in read_tests(check, "g")] == ["assert not (g(''))", "assert g(i) == [i]"]
    listed = read_tests(
        "1. `assert f(1) == 2`\nassert 3 == f(2)\nassert f(3) is None\nassert f(4\nassert f(1) == 2\nhm"
    )
    assert [str(t) for t in listed] == ["assert f(1) == 2", "assert f(2) == 3", "assert f(3) == None"]
    guessable = read_tests("assert f(1)\nassert not f(2)\nassert abs(f(3) - 0.1) < 0.01\nassert 1 == 1")
    assert all(t.guessable for t in guessable) and len(guessable) == 3
    for tests in (listed, guessable):
        assert reference_tests(write_reference(tests)) == tests


@pytest.mark.parametrize(
    "text", ["", "x" * 10_000, "assert " * 1000, "assert (" * 500, "assert f(" + "9" * 5000 + ") == 1"]
)
def test_no_text_breaks_the_reading(text: str) -> None:
    assert all(isinstance(t, ProgramTest) for t in read_tests(text))


@pytest.mark.parametrize("reference", ["", "3", "{}", "[1, null]", '["no"]', "assert f(1) == 2"])
def test_a_reference_without_tests_is_unsure_and_runs_nothing(reference: str) -> None:
    assert grade("def f(x): return x", reference, task="code").verdict == "unsure"


@pytest.mark.parametrize(
    ("expected", "text", "holds"),
    [
        ("[1, 2]", "[1, 2]", True),
        ("[1, 2]", "(1, 2)", False),
        ("1", "1.0", True),
        ("{1}", "{1}", True),
        ("set()", "set()", True),
        ("2", "<object object at 0x7f>", False),
        ("2", "-" * 20_000 + "2", False),
        ("2", "9" * 20_000, False),
    ],
)
def test_a_value_is_compared_here_and_never_run(expected: str, text: str, holds: bool) -> None:
    assert ProgramTest("f()", expected).holds(Result("value", text)) is holds
    assert ProgramTest("f()", expected, equal=False).holds(Result("error", "ValueError")) is False


def test_grades_say_what_happened(isolated: None) -> None:
    programs = {
        "def f(x): return x + 1": ("right", "tests_passed"),
        "def f(x): return 2 * x": ("wrong", "test_failed"),
        "def f(x): return x.y": ("wrong", "AttributeError"),
        "def f(x):\n while True: pass": ("wrong", "timeout"),
        "import os\nos._exit(0)\ndef f(x): return 2": ("wrong", "exited"),
        "raise KeyError(1)\ndef f(x): return 2": ("wrong", "KeyError"),
        "def f(x:": ("wrong", "syntax_error"),
        "I would rather not.": ("wrong", "no_program"),
        "def g(x): return x + 1": ("wrong", "NameError"),
    }
    with GradingPool(processes=2, sandbox=SandboxConfig(call_s=0.5, wall_s=60)) as pool:
        grades = pool.grade_all([(text, Question("q", "?", REFERENCE, "s", "code")) for text in programs])
    assert [(g.verdict, g.rules[-1]) for g in grades] == list(programs.values())
    sleeps = "import time\ndef f(x): return time.sleep(99)"
    with GradingPool(sandbox=SandboxConfig(wall_s=2)) as pool:  # no CPU used, but no time left: perhaps our fault
        (late,) = pool.grade_all([(sleeps, Question("q", "?", REFERENCE, "s", "code"))])
    assert late.verdict == "unsure"
    assert grades[1].reason == "test 2 of 2, assert f(-1) == 0: -2"


def test_a_test_that_failed_decides_however_the_rest_ended() -> None:
    tests, loaded = reference_tests(REFERENCE), Result("value", "None")
    failed = outcome_of(Ran("stalled", loaded, (Result("value", "7"),)), tests)
    assert failed.surely and failed.reason == "test_failed" and failed.instead == ("7", "stalled")
    held = outcome_of(Ran("stalled", loaded, (Result("value", "2"),)), tests)
    assert not held.surely and held.reason == "stalled" and held.held == (True, False)


EQUALS = """
class Equal:
    __eq__ = lambda self, other: True
    __repr__ = lambda self: "Equal()"
def f(x): return Equal()
"""
PATCHES = """
import builtins
builtins.repr = lambda value: "2"
builtins.eval = lambda *given: 2
def f(x): pass
"""
FORGES = """
import os
for n in range(3, 9):
    try: os.write(n, b'["value", "2"]\\n' * 99)
    except OSError: pass
def f(x): pass
"""
LOOKS = """
import sys
def f(x):
    found, frame = "", sys._getframe()
    while frame:
        found, frame = found + str(frame.f_locals), frame.f_back
    return 0 if "== 0" in found else 2
"""
CHEATS = {
    "an object that equals everything": EQUALS,
    "leaving in the middle": "import os\ndef f(x): os._exit(0)",
    "patching the error of assert": "import builtins\nbuiltins.AssertionError = None\ndef f(x): return None",
    "patching repr and eval": PATCHES,
    "forged results": FORGES,
    "looking for the tests": LOOKS,
}


@pytest.mark.parametrize("cheat", CHEATS)
def test_success_cannot_be_faked_by_who_does_not_know_the_values(cheat: str, isolated: None) -> None:
    assert grade(CHEATS[cheat], REFERENCE, task="code").verdict == "wrong"


def test_programs_and_sums_share_a_pool(isolated: None) -> None:
    program, total = Question("q", "?", REFERENCE, "s", "code"), Question("r", "?", "7", "s")
    with GradingPool() as pool:
        grades = pool.grade_all([("The answer is 7.", total), ("def f(x): return x + 1", program), ("It is 8.", total)])
    assert [g.verdict for g in grades] == ["right", "right", "wrong"]
