"""Partial solutions that end in a wrong step, and a fresh start after them: for the Fresh & Restart prompt of `lemma`.

Two per task. Fix & Continue is shown with `mistakes`, whose corrections go on from the wrong step.
"""

from dataclasses import dataclass

from lema_ray.records import Task


@dataclass(frozen=True, slots=True)
class Restart:
    """A question, what was written so far, the words to doubt with, the doubt, and a whole solution by another way."""

    question: str
    partial: str
    words: str
    doubt: str
    solution: str


_ARITHMETIC = (
    Restart(
        "A shop sold 35 lamps on Monday and 18 fewer on Tuesday. Each lamp costs 20 dollars. How many dollars did it"
        " take on both days?",
        "Step 1: On Tuesday the shop sold 35 - 18 = 17 lamps.\nStep 2: Together it sold 35 + 17 = 42 lamps.",
        "Hold on.",
        "Hold on. 35 + 17 has to be more than 50, so 42 is wrong. Let me start again and count in dollars.",
        "Step 1: On Monday the shop took 35 * 20 = 700 dollars.\n"
        "Step 2: On Tuesday it took 18 * 20 = 360 dollars less, so 700 - 360 = 340 dollars.\n"
        "Step 3: On both days it took 700 + 340 = 1040 dollars.\nThe answer is 1040.",
    ),
    Restart(
        "A train has 8 cars with 40 seats each. 275 people get on, and 3 seats are reserved for staff. How many seats"
        " stay free?",
        "Step 1: The 8 cars have 8 + 40 = 48 seats.",
        "Wait,",
        "Wait, 48 seats for a whole train cannot be right: each of the 8 cars has 40. Let me do this another way.",
        "Step 1: The people and the staff together need 275 + 3 = 278 seats.\n"
        "Step 2: There are 8 * 40 = 320 seats.\nStep 3: So 320 - 278 = 42 seats stay free.\nThe answer is 42.",
    ),
)
_MATH = (
    Restart(
        "Two fair dice are rolled. What is the probability that the sum is 9?",
        "Step 1: There are $6 \\cdot 6 = 36$ equally likely outcomes.\n"
        "Step 2: A sum of 9 comes from 3 and 6, or from 4 and 5, so there are 2 outcomes.",
        "Hmm, let me check that.",
        "Hmm, let me check that. The dice are distinct, so each pair comes in two orders and 2 outcomes are too few."
        " Let me start over with one die at a time.",
        "Step 1: Whatever the first die shows, the second one has to show 9 minus that.\n"
        "Step 2: This is possible when the first die shows 3, 4, 5 or 6, which has probability $\\frac{4}{6}$.\n"
        "Step 3: Then the second die is right with probability $\\frac{1}{6}$, and $\\frac{4}{6} \\cdot \\frac{1}{6} ="
        " \\frac{1}{9}$.\nThe answer is $\\boxed{\\frac{1}{9}}$.",
    ),
    Restart(
        "Let $f(x) = 3x^2 - 4x + 1$. What is $f(-2)$?",
        "Step 1: Substitute: $f(-2) = 3(-2)^2 - 4(-2) + 1$.\nStep 2: The second term is $-4 \\cdot (-2) = -8$.",
        "No, that is not right.",
        "No, that is not right. The product of two negative numbers is positive. I will go back and factor first.",
        "Step 1: The polynomial factors as $f(x) = (3x - 1)(x - 1)$.\n"
        "Step 2: At $-2$ the factors are $-7$ and $-3$.\nStep 3: So $f(-2) = (-7)(-3) = 21$.\n"
        "The answer is $\\boxed{21}$.",
    ),
)
RESTARTS: dict[Task, tuple[Restart, ...]] = {"arithmetic": _ARITHMETIC, "math": _MATH, "choice": _ARITHMETIC}
