"""Exact comparison: value decides, units may be missing but not conflict, nothing is rounded but a reference."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lema_ray.grading.compare import compare_exactly
from lema_ray.grading.numbers import read_number


@pytest.mark.parametrize(
    ("answer", "reference", "verdict"),
    [
        ("2,048", "2048", "right"),
        ("10,\\!080", "10080", "right"),
        ("\\frac{6}{16}", "3/8", "right"),
        ("0.375", "\\dfrac38", "right"),
        ("-1 1/4", "-3/4", "wrong"),
        ("4\\frac{1}{5}", "4.2", "right"),
        ("0.\\overline{3}", "\\frac13", "right"),
        ("0.333333", "\\frac13", "wrong"),
        ("\\frac{100}{3}", "33.33", "right"),
        ("33.3", "33.33", "wrong"),
        ("18446744073709551615", "18446744073709551616", "wrong"),
        ("25\\%", "0.25", "right"),
        ("25", "0.25", "wrong"),
        ("8\\text{ ft}", "8", "right"),
        ("8 inches", "8\\text{ feet}", "wrong"),
        ("20 cm", "20\\text{ cm}^2", "wrong"),
        ("5 dollars per day", "\\$5", "right"),
        ("1011_3", "1011_2", "wrong"),
        ("x = 9", "9", "right"),
        ("16 - 3 - 4 = 9", "9", "right"),
        ("2,5", "2.5", "right"),
        ("seven", "7", "right"),
        ("Verna received $7.00 in change", "7", "right"),
        ("less than 7 dollars", "7", "unsure"),
        ("between 10 and 20", "20", "wrong"),
        ("2 million", "2", "unsure"),
        ("\\text{Friday}", "friday", "right"),
        ("odd", "\\text{even}", "wrong"),
        ("(E) 5", "\\text{(E)}", "right"),
        ("\\{5,-1\\}", "(5,-1)", "wrong"),
    ],
)
def test_policy(answer: str, reference: str, verdict: str) -> None:
    compared = compare_exactly(answer, reference)
    assert compared is not None and compared.verdict == verdict


@pytest.mark.parametrize("answer", ["2k", "5x", "f(2)", "\\ln 9", "(1,2)", "3 \\pm 1", "5 \\sin 2"])
def test_mathematics_is_left_to_mathematics(answer: str) -> None:
    assert compare_exactly(answer, "7") is None


@pytest.mark.parametrize(
    "answer",
    [
        "8^{8^{8}}",
        "7**7**7",
        "2^{99999}",
        "(10^9)!",
        "((" * 30 + "1",
        "[open('x')]+1",
        "\\sum_{n=1}^{9} n",
        "9" * 500 + "+1",
    ],
)
def test_what_could_hang_or_is_code_is_refused_unseen(answer: str) -> None:
    compared = compare_exactly(answer, "7")
    assert compared is not None and (compared.verdict, compared.rule) == ("unsure", "refused")


@given(st.integers(-(10**12), 10**12), st.integers(1, 10**6))
def test_every_way_to_write_a_fraction_is_read_exactly(top: int, bottom: int) -> None:
    for text in (f"{top}/{bottom}", f"\\frac{{{top}}}{{{bottom}}}"):
        number = read_number(text)
        assert number is not None and number.value == Fraction(top, bottom)


@given(st.integers(-(10**15), 10**15), st.integers(0, 6))
def test_thousands_and_decimals_are_read_exactly(digits: int, places: int) -> None:
    value = Fraction(digits, 10**places)
    whole, _, rest = (
        f"{abs(digits):0{places + 1}d}"[: -places or None],
        "",
        f"{abs(digits):0{places + 1}d}"[-places or 99 :],
    )
    text = ("-" if digits < 0 else "") + f"{int(whole):,}" + (f".{rest}" if rest else "")
    number = read_number(text)
    assert number is not None and number.value == value
