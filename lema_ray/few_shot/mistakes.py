"""Worked corrections for prompts to correctors, four per task: three late mistakes and one at the start.

`Mistake.wrong_step` counts from 1, as prompts do; None where the task has no numbered steps, and so is the `error_type`
(a code of the shipped taxonomy). Used by `recipes` and `analysis`.
"""

from dataclasses import dataclass

from lema_ray.records import Task


@dataclass(frozen=True, slots=True)
class Mistake:
    """A wrong solution and its correction, which goes on from the wrong step."""

    question: str
    attempt: str
    wrong_step: int | None
    explanation: str
    correction: str
    error_type: str | None = None


MISTAKES: dict[Task, tuple[Mistake, ...]] = {
    "arithmetic": (
        Mistake(
            "A shop sold 35 lamps on Monday and 18 fewer on Tuesday. Each lamp costs 20 dollars. How many dollars did"
            " it take on both days?",
            "Step 1: On Tuesday the shop sold 35 - 18 = 17 lamps.\n"
            "Step 2: Together it sold 35 + 17 = 42 lamps.\n"
            "Step 3: It took 42 * 20 = 840 dollars.\n"
            "Step 4: The answer is 840.",
            2,
            "The right numbers are added, but 35 + 17 is 52, not 42.",
            "Step 2: Together it sold 35 + 17 = 52 lamps.\n"
            "Step 3: It took 52 * 20 = 1040 dollars.\n"
            "Step 4: The answer is 1040.",
            "CA",
        ),
        Mistake(
            "Dina has 4 boxes with 24 crayons each. A third of all crayons are broken. How many crayons still work?",
            "Step 1: Dina has 4 * 24 = 96 crayons.\n"
            "Step 2: Of these 96 / 3 = 32 are broken.\n"
            "Step 3: So 32 crayons still work.\n"
            "Step 4: The answer is 32.",
            3,
            "32 is the number of broken crayons. The question asks for those that still work, so the broken ones have"
            " to be taken away from all of them.",
            "Step 3: So 96 - 32 = 64 crayons still work.\nStep 4: The answer is 64.",
            "QM",
        ),
        Mistake(
            "A train has 8 cars with 40 seats each. 275 people get on, and 3 seats are reserved for staff. How many"
            " seats stay free?",
            "Step 1: The 8 cars have 8 + 40 = 48 seats.\n"
            "Step 2: Without the reserved seats there are 48 - 3 = 45.\n"
            "Step 3: That is less than 275, so 0 seats stay free.\n"
            "Step 4: The answer is 0.",
            1,
            "Every one of the 8 cars has 40 seats, so the numbers have to be multiplied and not added.",
            "Step 1: The 8 cars have 8 * 40 = 320 seats.\n"
            "Step 2: Without the reserved seats there are 320 - 3 = 317.\n"
            "Step 3: After boarding, 317 - 275 = 42 seats stay free.\n"
            "Step 4: The answer is 42.",
            "OP",
        ),
        Mistake(
            "Farida earns 18 dollars an hour and works 6 hours a day, 5 days a week. She pays 150 dollars of rent a"
            " week. How much is left after 2 weeks?",
            "Step 1: In a day she earns 18 * 6 = 108 dollars.\n"
            "Step 2: In a week she earns 108 * 5 = 540 dollars.\n"
            "Step 3: In 2 weeks she earns 540 * 2 = 1080 dollars.\n"
            "Step 4: After the rent 1080 - 150 = 930 dollars are left.\n"
            "Step 5: The answer is 930.",
            4,
            "The rent is paid every week, so for 2 weeks it is 150 * 2 = 300 dollars; only one week was taken away.",
            "Step 4: The rent for 2 weeks is 150 * 2 = 300 dollars, so 1080 - 300 = 780 dollars are left.\n"
            "Step 5: The answer is 780.",
            "MS",
        ),
    ),
    "math": (
        Mistake(
            "Let $f(x) = 3x^2 - 4x + 1$. What is $f(-2)$?",
            "Step 1: Substitute: $f(-2) = 3(-2)^2 - 4(-2) + 1$.\n"
            "Step 2: The square is $(-2)^2 = 4$, so the first term is $12$.\n"
            "Step 3: The second term is $-4 \\cdot (-2) = -8$.\n"
            "Step 4: So $f(-2) = 12 - 8 + 1 = 5$.\n"
            "Step 5: The answer is $\\boxed{5}$.",
            3,
            "The product of two negative numbers is positive, so the second term is $+8$.",
            "Step 3: The second term is $-4 \\cdot (-2) = 8$.\n"
            "Step 4: So $f(-2) = 12 + 8 + 1 = 21$.\n"
            "Step 5: The answer is $\\boxed{21}$.",
            "CA",
        ),
        Mistake(
            "Two fair dice are rolled. What is the probability that the sum is 9?",
            "Step 1: There are $6 \\cdot 6 = 36$ equally likely outcomes.\n"
            "Step 2: A sum of 9 comes from 3 and 6, or from 4 and 5, so there are 2 outcomes.\n"
            "Step 3: The probability is $\\frac{2}{36} = \\frac{1}{18}$.\n"
            "Step 4: The answer is $\\boxed{\\frac{1}{18}}$.",
            2,
            "The dice are distinct, so each pair can come in two orders: (3,6), (6,3), (4,5), (5,4).",
            "Step 2: A sum of 9 comes from (3,6), (6,3), (4,5) and (5,4), so there are 4 outcomes.\n"
            "Step 3: The probability is $\\frac{4}{36} = \\frac{1}{9}$.\n"
            "Step 4: The answer is $\\boxed{\\frac{1}{9}}$.",
            "CO",
        ),
        Mistake(
            "Solve $\\log_2(x) + \\log_2(x - 6) = 4$ for $x$.",
            "Step 1: Adding the logarithms gives $\\log_2(2x - 6) = 4$.\n"
            "Step 2: So $2x - 6 = 16$ and $x = 11$.\n"
            "Step 3: The answer is $\\boxed{11}$.",
            1,
            "A sum of logarithms is the logarithm of the product, so the argument is $x(x-6)$ and not the sum of both.",
            "Step 1: Adding the logarithms gives $\\log_2(x(x - 6)) = 4$.\n"
            "Step 2: So $x^2 - 6x = 16$, that is $(x - 8)(x + 2) = 0$.\n"
            "Step 3: Only $x = 8$ makes both logarithms defined.\n"
            "Step 4: The answer is $\\boxed{8}$.",
            "FC",
        ),
        Mistake(
            "The sides of a rectangle are in the ratio 3 : 4 and its diagonal is 15. What is its area?",
            "Step 1: Let the sides be $3k$ and $4k$; the diagonal is $5k$.\n"
            "Step 2: From $5k = 15$ we get $k = 3$.\n"
            "Step 3: The sides are $9$ and $12$, and the area is $2(9 + 12) = 42$.\n"
            "Step 4: The answer is $\\boxed{42}$.",
            3,
            "$2(9 + 12)$ is the perimeter; the area of a rectangle is the product of its sides.",
            "Step 3: The sides are $9$ and $12$, and the area is $9 \\cdot 12 = 108$.\n"
            "Step 4: The answer is $\\boxed{108}$.",
            "FC",
        ),
    ),
    "choice": (
        Mistake(
            "Where does a person usually sleep while camping?\n(A) tent\n(B) office\n(C) train\n(D) hotel\n(E) museum",
            "People sleep in rooms with beds when they travel. A hotel has rooms with beds.\nThe answer is (D).",
            None,
            "The question is about camping, which means staying outdoors; one stays in a hotel instead of camping.",
            "Camping means staying outdoors in a shelter that one brings along, and that shelter is a tent. An office,"
            " a train, a hotel and a museum are not part of camping.\nThe answer is (A).",
        ),
        Mistake(
            "What do you need to do before you can cross a locked bridge gate?\n"
            "(A) jump\n(B) sing\n(C) read\n(D) sleep\n(E) open it",
            "A gate is a barrier, and barriers can be jumped over. Singing, reading and sleeping do not help.\n"
            "The answer is (A).",
            None,
            "A bridge gate is made so that nobody passes over it; the word locked points to what has to change first.",
            "A locked gate stops everyone until it is unlocked and opened. Jumping, singing, reading or sleeping do not"
            " unlock it.\nThe answer is (E).",
        ),
        Mistake(
            "Which of these is a likely reason to turn on a fan?\n"
            "(A) cold\n(B) heat\n(C) silence\n(D) hunger\n(E) snow",
            "A fan moves air, and moving air is cold, so people turn it on because of the cold.\nThe answer is (A).",
            None,
            "Cause and effect are mixed up: the fan makes people feel cooler, so they want it when it is too warm.",
            "Moving air cools the skin, which is welcome when it is hot. Cold and snow are reasons to leave a fan off,"
            " and silence and hunger have nothing to do with it.\nThe answer is (B).",
        ),
        Mistake(
            "What is the main aim of someone who practises the piano every day?\n"
            "(A) make noise\n(B) break the piano\n(C) play well\n(D) tire their hands\n(E) sell the piano",
            "Playing the piano makes sounds, and many sounds every day are a noise. So the aim is to make noise.\n"
            "The answer is (A).",
            None,
            "Sound is only what happens along the way; the word practises says that the person wants to get better.",
            "To practise is to repeat something in order to become better at it. Someone who practises the piano wants"
            " to play well; noise and tired hands are side effects, and breaking or selling it is no reason to"
            " practise.\nThe answer is (C).",
        ),
    ),
}
