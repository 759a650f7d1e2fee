"""Whole classes of answers: every way of writing a value is the value, and no other value is."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lema_ray.grading import grade
from lema_ray.grading.compare import compare_exactly
from lema_ray.grading.evaluate import compare_values, constant
from lema_ray.grading.intervals import as_intervals
from lema_ray.grading.number_words import read_number_words
from lema_ray.grading.numbers import read_number
from lema_ray.grading.times import read_time, same_time

SMALL = st.integers(-999, 999)
LARGE = st.integers(1_000, 10**9)
SENTENCES = (
    "{}",
    "First we add.\nTherefore we get $\\boxed{{{}}}$.",
    "So the answer is {}.",
    "**Final Answer:** {}",
    "#### {}",
    "The answer is 1234567.\nWait, that is a mistake.\nThe answer is {}.",
)


def verdict(answer: str, reference: str) -> str | None:
    compared = compare_exactly(answer, reference)
    return compared.verdict if compared else None


def grouped(value: int, mark: str) -> str:
    return f"{value:,}".replace(",", mark)


@given(LARGE, st.sampled_from([",", " ", "'", "{,}", "\\,", "\u202f", ",\\!"]), st.sampled_from(SENTENCES))
def test_thousands_marks_of_every_kind(value: int, mark: str, sentence: str) -> None:
    assert grade(sentence.format(grouped(value, mark)), str(value)).verdict == "right"
    assert grade(sentence.format(grouped(value, mark)), str(value + 1)).verdict == "wrong"


@given(st.integers(10**6, 10**9), st.integers(1, 99))
def test_continental_numbers(value: int, cents: int) -> None:
    assert verdict(f"{grouped(value, '.')},{cents:02d}", f"{value}.{cents:02d}") == "right"
    assert verdict(grouped(value, "."), str(value)) == "right"
    assert verdict(f"{value},{cents:02d}", f"{value}.{cents:02d}") == "right"


@given(st.integers(1, 999), st.integers(0, 999))
def test_a_mark_that_may_be_thousands_or_decimals_is_never_a_mistake(whole: int, rest: int) -> None:
    assume(rest % 1000 or whole)
    assert verdict(f"{whole}.{rest:03d}", f"{whole}{rest:03d}") in ("right", "unsure")


@given(LARGE, st.sampled_from(["٠١٢٣٤٥٦٧٨٩", "०१२३४५६७८९", "০১২৩৪৫৬৭৮৯", "๐๑๒๓๔๕๖๗๘๙", "０１２３４５６７８９"]))
def test_digits_of_every_script(value: int, digits: str) -> None:
    assert (
        grade(f"{str(value).translate(dict(zip(map(ord, '0123456789'), digits, strict=True)))}", str(value)).verdict
        == "right"
    )


@given(
    SMALL,
    st.sampled_from(["$ {}", "${}", "{} €", "{}€", "£{}", "{} dollars", "USD {}", "₹{}", "Rs. {}", "US${}", "{} 元"]),
)
def test_currencies(value: int, form: str) -> None:
    assert verdict(form.format(abs(value)), str(abs(value))) == "right"
    assert verdict(form.format(abs(value)), str(abs(value) + 1)) == "wrong"


@given(
    st.integers(1, 10**6),
    st.sampled_from([("km", "m", 1000), ("hours", "minutes", 60), ("feet", "inches", 12), ("kg", "g", 1000)]),
)
def test_units_convert_may_be_missing_and_may_not_conflict(value: int, units: tuple[str, str, int]) -> None:
    large, small, times = units
    assert verdict(f"{value * times} {small}", f"{value} {large}") == "right"
    assert verdict(f"{value} {large}", str(value)) == verdict(str(value), f"{value}\\text{{ {large}}}") == "right"
    assert verdict(f"{value} {small}", f"{value} {large}") == "wrong"
    assert verdict(f"{value} {large}", f"{value} dollars") == "wrong"
    assert verdict(f"{value * times} {small}", str(value)) == "unsure"


@given(st.integers(1, 12), st.integers(1, 59))
def test_quantities_in_two_units(hours: int, minutes: int) -> None:
    assert verdict(f"{hours} hours and {minutes} minutes", f"{60 * hours + minutes} minutes") == "right"
    assert verdict(f"{hours} hours {minutes} minutes", f"{60 * hours + minutes + 1} minutes") == "wrong"


NAMES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety"
)
ONES = NAMES.split()[:20]
TENS = ["", "", *NAMES.split()[20:]]


def said(value: int) -> str:
    if value < 20:
        return ONES[value]
    if value < 100:
        return TENS[value // 10] + (f"-{ONES[value % 10]}" if value % 10 else "")
    for size, name in ((10**6, "million"), (1000, "thousand"), (100, "hundred")):
        if value >= size:
            rest = value % size
            link = " and " if size == 100 else " "
            return f"{said(value // size)} {name}" + (f"{link}{said(rest)}" if rest else "")
    raise AssertionError


@given(st.integers(0, 10**9 - 1))
def test_numbers_in_words(value: int) -> None:
    assert read_number_words(said(value)) == (value, "")
    assert verdict(said(value).capitalize() + " apples", str(value)) == "right"


@given(st.integers(1, 9), st.integers(3, 10))
def test_fractions_in_words(count: int, parts: int) -> None:
    names = {3: "third", 4: "quarter", 5: "fifth", 6: "sixth", 7: "seventh", 8: "eighth", 9: "ninth", 10: "tenth"}
    assert verdict(f"{ONES[count]} {names[parts]}{'s' * (count > 1)}", f"{count}/{parts}") == "right"
    assert verdict(f"{count} and a half", str(Fraction(2 * count + 1, 2))) == "right"


@given(st.integers(1, 99), st.integers(1, 99), st.integers(2, 99))
def test_mixed_numbers(whole: int, top: int, bottom: int) -> None:
    assume(top < bottom)
    value = whole + Fraction(top, bottom)
    for text in (
        f"{whole} {top}/{bottom}",
        f"{whole}\\frac{{{top}}}{{{bottom}}}",
        f"{whole} \\dfrac{{{top}}}{{{bottom}}}",
    ):
        assert verdict(text, f"{value.numerator}/{value.denominator}") == "right"
        assert verdict(text, f"{whole * top}/{bottom}") in (
            "wrong",
            "right" if Fraction(whole * top, bottom) == value else "wrong",
        )


@given(st.integers(-999, 999), st.integers(-12, 12))
def test_scientific_notation(digits: int, power: int) -> None:
    value = Fraction(digits) * Fraction(10) ** power
    for text in (
        f"{digits}\\times10^{{{power}}}",
        f"{digits}e{power}",
        f"{digits} * 10^{power}",
        f"{digits} x 10^{{{power}}}",
    ):
        number = read_number(text)
        assert number is not None and number.value == value


@given(st.integers(0, 9), st.integers(1, 98))
def test_repeating_decimals(start: int, period: int) -> None:
    value = (start + Fraction(period, 99)) / 10
    for form in ("0.{}\\overline{{{:02d}}}", "0.{}({:02d})", "0.{}\\bar{{{:02d}}}"):
        assert verdict(form.format(start, period), f"{value.numerator}/{value.denominator}") == "right"


@given(st.integers(0, 23), st.integers(0, 59))
def test_times_of_day(hour: int, minute: int) -> None:
    half = "p.m." if hour >= 12 else "AM"
    twelve = f"{(hour - 1) % 12 + 1}:{minute:02d} {half}"
    clock, other = read_time(f"{hour:02d}:{minute:02d}"), read_time(twelve)
    assert clock and other and same_time(clock, other)
    assert verdict(twelve, f"{(hour - 1) % 12 + 1}:{minute:02d}") == "right"
    opposite = twelve.replace(half, "am" if hour >= 12 else "pm")
    assert verdict(opposite, twelve) == "wrong"


MEMBERS = st.lists(SMALL, min_size=2, max_size=5, unique=True)


@given(MEMBERS, st.randoms(use_true_random=False))
def test_order_counts_in_tuples_and_not_in_sets(members: list[int], random: object) -> None:
    texts = [str(m) for m in members]
    turned = texts[1:] + texts[:1]
    listed, shuffled = ", ".join(texts), ", ".join(turned)
    assert verdict(shuffled, listed) == verdict(f"\\{{{shuffled}\\}}", listed) == "right"
    assert verdict(" and ".join(turned), f"\\{{{listed}\\}}") == "right"
    assert verdict(f"({listed})", f"\\left({','.join(texts)}\\right)") == "right"
    assert verdict(f"({shuffled})", f"({listed})") == "wrong"
    assert verdict(", ".join(texts[:-1]) if len(texts) > 2 else texts[0], listed) in ("wrong", None)
    assert verdict(listed + ", 1000", listed) == "wrong"


@given(st.integers(-99, 0), st.integers(1, 99), st.sampled_from(["[]", "[)", "(]", "()"]))
def test_intervals_and_inequalities(low: int, high: int, ends: str) -> None:
    left, right = ("\\le" if e in "[]" else "<" for e in ends)
    interval = f"{ends[0]}{low},{high}{ends[1]}"
    assert verdict(f"{low} {left} x {right} {high}", interval) == "right"
    assert as_intervals(f"{low} {left} x {right} {high}") == interval
    for other in ("[]", "[)", "(]", "()"):
        same = verdict(f"{other[0]}{low}, {high}{other[1]}", interval)
        assert same == ("right" if other == ends else "wrong")


@given(st.lists(st.lists(SMALL, min_size=2, max_size=2), min_size=2, max_size=3))
def test_matrices(rows: list[list[int]]) -> None:
    def matrix(kind: str, cells: list[list[int]]) -> str:
        return f"\\begin{{{kind}}}" + " \\\\ ".join(" & ".join(map(str, row)) for row in cells) + f"\\end{{{kind}}}"

    assert verdict(matrix("bmatrix", rows), matrix("pmatrix", rows)) == "right"
    changed = [list(row) for row in rows]
    changed[0][0] += 1
    assert verdict(matrix("pmatrix", changed), matrix("pmatrix", rows)) == "wrong"


@given(st.integers(1, 400), st.integers(1, 60))
def test_roots_by_value(square: int, factor: int) -> None:
    assert compare_values(f"\\sqrt{{{square * factor * factor}}}", f"{factor}\\sqrt{{{square}}}") == "right"
    assert compare_values(f"\\sqrt{{{square * factor * factor + 1}}}", f"{factor}\\sqrt{{{square}}}") == "wrong"


@given(SMALL, SMALL)
def test_polynomials_by_value(a: int, b: int) -> None:
    product = f"(x{a:+d})(x{b:+d})"
    assert compare_values(product, f"x^2{a + b:+d}x{a * b:+d}") == "right"
    assert compare_values(product, f"x^2{a + b:+d}x{a * b + 1:+d}") == "wrong"


@given(st.integers(2, 50), st.integers(20, 300))
def test_powers_that_floats_cannot_tell_apart(base: int, power: int) -> None:
    assert compare_values(f"{base}^{{{power}}}", f"{base}^{{{power}}}+1") == "wrong"
    assert compare_values(f"{base}^{{-{power}}}", f"\\frac{{1}}{{{base}^{{{power}}}}}") == "right"
    assert compare_values(f"{base}^{{-{power}}}", f"{base}^{{-{power + 1}}}") == "wrong"


@pytest.mark.parametrize(
    "text",
    ["f(x)", "2i", "e^2", "4\\frac15", "3 4", "1/2x", "2^{99999}", "(((9!)!)!)", "\\sqrt{-4}", "1/0", "x", "sin x", ""],
)
def test_what_is_no_plain_expression_has_no_value(text: str) -> None:
    assert constant(text) is None


@given(st.text(alphabet="0123456789.,/\\{}()^!+-*=xπ√ frac_qtipcdo%$<>[];:", max_size=60))
def test_any_text_compares_without_an_error(text: str) -> None:
    compared = compare_exactly(text, "\\frac{1}{2}")
    assert compared is None or compared.verdict in ("right", "wrong", "unsure")


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("The answer is 10. Actually, it should be 12.", "12"),
        ("#### 10\n\nActually, that is wrong. The correct answer is 12.", "12"),
        ("\\boxed{5}\n\nLet me verify: 2 + 3 = 5. Correct.", "5"),
        ("The answer is 12, since 24 / 2 = 12.", "12"),
        ("La respuesta final es 1.250,50.", "1250.5"),
        ("Antwort: 12,5 %", "12.5"),
        ("最终答案是二十四。", "24"),
        ("الإجابة هي ٢٤", "24"),
        ("She arrives at 7:25 a.m.", "7:25"),
        ("### Answer\n12", "12"),
        ("The answer is 12.<|im_end|>", "12"),
        ("The answer is 120!", "120"),
        ("\\boxed{5!}", "120"),
    ],
)
def test_solutions_as_models_end_them(text: str, reference: str) -> None:
    assert grade(text, reference).verdict == "right"


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("The answer is not 7.", "7"),
        ("I'm sorry, but I can't help with question 7.", "7"),
        ("(A) and (B)", "A"),
        ("The answer is either 12 or 13.", "12"),
        ("\\boxed{120!}", "120"),
        ("<think>12</think>", "12"),
    ],
)
def test_what_must_not_be_accepted(text: str, reference: str) -> None:
    assert grade(text, reference).verdict != "right"


@pytest.mark.parametrize(
    ("answer", "reference"),
    [
        ("5k", "5000"),
        ("2.048", "2048"),
        ("64 cents", "0.64"),
        ("1 in 4 apples", "0.25"),
        ("x+2=5, x=3", "3"),
        ("\\begin{pmatrix}1\\\\2\\end{pmatrix}", "(1,2)"),
        ("A(1,2)", "(1,2)"),
        ("yes, it is", "yes"),
        ("none", "0"),
        ("twice", "2"),
        ("\\emptyset", "no solution"),
        ("an isosceles triangle", "isosceles"),
    ],
)
def test_a_difference_that_may_be_one_of_writing_is_no_mistake(answer: str, reference: str) -> None:
    assert grade(f"Therefore we get $\\boxed{{{answer}}}$.", reference).verdict != "wrong"


@pytest.mark.parametrize("text", ["The answer is 20. No wait, 24.", "The answer is 20. Oops, I forgot 4, so it's 24."])
def test_a_correction_in_passing_is_no_mistake(text: str) -> None:
    assert grade(text, "24").rules == ("answer_is", "retracted")
    assert grade(text, "25").verdict == "wrong"
