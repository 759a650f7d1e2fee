"""Published graders, with what makes each differ from the default one."""

from __future__ import annotations

import pytest

from lema_ray.grading import PUBLISHED, grade, grade_all
from lema_ray.records import GradingMode


@pytest.mark.parametrize(
    ("mode", "text", "reference", "right"),
    [
        ("gsm8k_strict", "It is 1,000.\n#### 1,000", "1000", True),
        ("gsm8k_strict", "The answer is 1000.", "1000", False),
        ("gsm8k_strict", "#### 5\n#### 6", "5", True),
        ("gsm8k_strict", "#### 5.0", "5", False),
        ("gsm8k_flexible", "The answer is 12. There are 7 days.", "7", True),
        ("gsm8k_flexible", "It costs $1,200.", "1200", True),
        ("lema_gsm8k", "The answer is $18.00.", "18", True),
        ("lema_gsm8k", "So it is 18.", "18", False),
        ("lema_gsm8k", "The answer is 3 * 6 = 18 apples.", "18", True),
        ("lema_gsm8k", "The answer is 36/2", "18", True),
        ("lema_math", "The answer is $\\frac12$.", "\\frac{1}{2}", True),
        ("lema_math", "Thus \\boxed{0.5}.", "\\frac{1}{2}", True),
        ("lema_math", "The answer is 2/4.", "\\frac{1}{2}", False),
        ("lema_math", "The answer is x = 5.", "5", True),
        ("qwen_math", "\\boxed{25}", "0.25", True),
        ("qwen_math", "\\boxed{12346}", "12345", True),
        ("qwen_math", "\\boxed{[2,5)}", "(2,5)", True),
        ("qwen_math", "The answer is: \\frac{3}{4}", "0.75", True),
        ("qwen_math", "\\boxed{13}", "12", False),
    ],
)
def test_the_published_rules_with_their_errors(mode: GradingMode, text: str, reference: str, right: bool) -> None:
    assert (grade(text, reference, mode=mode).verdict == "right") == right


def test_the_default_makes_none_of_their_errors() -> None:
    for text, reference in (("\\boxed{25}", "0.25"), ("\\boxed{12346}", "12345"), ("\\boxed{[2,5)}", "(2,5)")):
        assert grade(text, reference).verdict == "wrong"
    assert grade("So it is 18.", "18").verdict == grade("The answer is 2/4.", "\\frac{1}{2}").verdict == "right"


@pytest.mark.parametrize("mode", sorted(PUBLISHED))
def test_every_mode_survives_any_text(mode: GradingMode) -> None:
    hostile = [
        "",
        "\x00",
        "\ud800",
        "9" * 100_000,
        "The answer is 9**9**9",
        "(" * 9_999,
        "\\boxed{" * 999,
        "\\frac",
        "\\sqrt",
    ]
    assert len(grade_all([(text, "8") for text in hostile], mode=mode)) == len(hostile)
