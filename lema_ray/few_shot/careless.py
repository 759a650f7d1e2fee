"""Wrong solutions written on purpose, two for each error type that can be: one in arithmetic, one in mathematics.

`wrong_step` counts from 1, as prompts do. Used by `recipes.injection`; the codes are the shipped taxonomy's.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Careless:
    """A question, a mistaken solution that follows its mistake to the end, and what the mistake was."""

    question: str
    solution: str
    wrong_step: int
    explanation: str


CARELESS: dict[str, tuple[Careless, ...]] = {
    "CA": (
        Careless(
            "A cinema sells 48 tickets at 7 dollars and 30 bags of popcorn at 4 dollars. What does it take in all?",
            "Step 1: The tickets bring 48 * 7 = 326 dollars.\nStep 2: The popcorn brings 30 * 4 = 120 dollars.\n"
            "Step 3: In all that is 326 + 120 = 446 dollars.\nThe answer is 446.",
            1,
            "48 * 7 is 336.",
        ),
        Careless(
            "What is the sum of the squares of the roots of $x^2 - 6x + 5 = 0$?",
            "Step 1: The roots add up to $6$ and their product is $5$.\n"
            "Step 2: The sum of squares is $6^2 - 2 \\cdot 5 = 36 - 10 = 24$.\nThe answer is $\\boxed{24}$.",
            2,
            "36 - 10 is 26.",
        ),
    ),
    "CO": (
        Careless(
            "Nora waters her plants every day from the 3rd to the 12th of May with 2 litres. How many litres is that?",
            "Step 1: From the 3rd to the 12th there are 12 - 3 = 9 days.\n"
            "Step 2: She uses 9 * 2 = 18 litres.\nThe answer is 18.",
            1,
            "Both ends count, so there are 10 days.",
        ),
        Careless(
            "How many multiples of $4$ lie between $10$ and $50$?",
            "Step 1: The first is $12$ and the last is $48$.\n"
            "Step 2: So there are $(48 - 12) / 4 = 9$ of them.\nThe answer is $\\boxed{9}$.",
            2,
            "The first one has to be counted too, so there are 10.",
        ),
    ),
    "FC": (
        Careless(
            "A fence goes once around a garden of 9 by 5 metres and costs 3 dollars a metre. What does it cost?",
            "Step 1: The garden measures 9 * 5 = 45.\nStep 2: The fence costs 45 * 3 = 135 dollars.\n"
            "The answer is 135.",
            1,
            "That is the area; a fence needs the perimeter.",
        ),
        Careless(
            "A cone has radius $3$ and height $7$. What is its volume?",
            "Step 1: The volume is $\\pi r^2 h$.\n"
            "Step 2: That is $\\pi \\cdot 9 \\cdot 7 = 63\\pi$.\nThe answer is $\\boxed{63\\pi}$.",
            1,
            "That is a cylinder; a cone has a third of it.",
        ),
    ),
    "MS": (
        Careless(
            "Ivo buys 6 pens for 2 dollars each and a folder for 5 dollars, and pays with a 20 dollar note. How much"
            " change does he get?",
            "Step 1: The pens cost 6 * 2 = 12 dollars.\nStep 2: He gets 20 - 12 = 8 dollars back.\nThe answer is 8.",
            2,
            "The folder was never added.",
        ),
        Careless(
            "The sides of a triangle are $5$, $12$ and $13$. What is the length of the altitude to the longest side?",
            "Step 1: The triangle has a right angle between the sides $5$ and $12$.\n"
            "Step 2: Twice its area is $5 \\cdot 12 = 60$, which is the altitude.\nThe answer is $\\boxed{60}$.",
            2,
            "Twice the area still has to be divided by the longest side.",
        ),
    ),
    "QM": (
        Careless(
            "Paula reads 15 pages on each of 4 days of a book of 100 pages. How many pages are left?",
            "Step 1: On 4 days she reads 15 * 4 = 60 pages.\nStep 2: That is what is asked for.\nThe answer is 60.",
            2,
            "The question asks for the pages that are left.",
        ),
        Careless(
            "How many positive divisors of $36$ are odd?",
            "Step 1: $36 = 2^2 \\cdot 3^2$.\nStep 2: It has $3 \\cdot 3 = 9$ positive divisors.\n"
            "The answer is $\\boxed{9}$.",
            2,
            "Only the odd ones were asked for.",
        ),
    ),
    "CC": (
        Careless(
            "A stall buys 40 melons at 2 dollars and sells them all at 5 dollars. What is its profit?",
            "Step 1: It sells 40 melons for 40 * 5 = 200 dollars.\n"
            "Step 2: What it takes is its profit, 200 dollars.\nThe answer is 200.",
            2,
            "Takings are not profit; what the melons cost has to be taken away.",
        ),
        Careless(
            "In how many ways can a group of $2$ be chosen from $6$ people?",
            "Step 1: There are $6$ choices for the first person and $5$ for the second.\n"
            "Step 2: So there are $6 \\cdot 5 = 30$ ways.\nThe answer is $\\boxed{30}$.",
            2,
            "Ordered pairs are mixed up with groups, which have no order.",
        ),
    ),
}
