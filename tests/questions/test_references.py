"""The reference answer is pulled out of whatever its column holds, and solutions end as models should end them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lema_ray.questions.references import choice_letter, last_boxed, reference_of, tidy_solution, without_letters

balanced = st.recursive(
    st.text("ab1\\ ", max_size=5).filter(lambda t: not t.endswith("\\")),
    lambda inner: st.lists(inner, max_size=3).map(lambda parts: "{" + "".join(parts) + "}"),
)


@given(st.text("ab $\n", max_size=20), balanced, st.text("ab $\n", max_size=20))
def test_the_last_box_is_matched_by_its_braces(before: str, content: str, after: str) -> None:
    assert last_boxed(f"\\boxed{{7}}{before}\\boxed{{{content}}}{after}") == content


@given(st.text(max_size=200))
def test_no_text_breaks_a_rule(text: str) -> None:
    for rule in ("auto", "plain", "gsm8k", "boxed", "letter"):
        assert reference_of(text, rule) is None or reference_of(text, rule)
    assert tidy_solution(tidy_solution(text)) == tidy_solution(text)


@pytest.mark.parametrize(
    ("text", "rule", "reference"),
    [
        ("Half is <<48/2=24>>24.\n#### 1,024\n", "auto", "1,024"),
        ("#### 1\n#### 2", "gsm8k", "2"),
        ("no mark", "gsm8k", None),
        ("so $x = \\boxed{\\frac{1}{2}}$, not \\boxed{3", "auto", "\\frac{1}{2}"),
        ("it is $\\boxed 3$", "boxed", "3"),
        ("\\boxed{\\text{see \\fbox{4}}}", "boxed", "\\text{see \\fbox{4}}"),
        ("\\boxed{a \\} b}", "boxed", "a \\} b"),
        ("no box", "boxed", None),
        ("  -7/2 ", "auto", "-7/2"),
        ("(c)", "letter", "C"),
        ("", "plain", None),
    ],
)
def test_rules(text: str, rule: str, reference: str | None) -> None:
    assert reference_of(text, rule) == reference  # type: ignore[arg-type]


def test_letters() -> None:
    choices = ["bank", "library", "a mall"]
    given = ["b", "(B)", "B.", "library", " Library ", "B) library"]
    assert [choice_letter(text.strip(), choices) for text in given] == ["B"] * 6
    assert choice_letter("a mall", choices) == "C"
    assert choice_letter("E", choices) is None
    assert choice_letter("shop", choices) is None
    assert without_letters(["A)12", "B) 13", "C)14"]) == ("12", "13", "14")
    assert without_letters(["A) 12", "C) 13"]) == ("A) 12", "C) 13")


def test_solutions() -> None:
    gsm8k = "She sold 48/2 = <<48/2=24>>24 clips.\r\nIn all 48+24 = <<48+24=72>>72.\n#### 72"
    assert tidy_solution(gsm8k) == "She sold 48/2 = 24 clips.\nIn all 48+24 = 72.\nThe answer is 72."
    math = "If $a << b$ then $\\boxed{b >> a}$."
    assert tidy_solution(math) == math
