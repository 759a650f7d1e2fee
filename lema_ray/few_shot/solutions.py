"""Worked solutions for few-shot solving, per task: (question, solution). Used by `attempts.solve_prompt`."""

from lema_ray.records import Task

SOLUTIONS: dict[Task, tuple[tuple[str, str], ...]] = {
    "arithmetic": (
        (
            "A baker makes 14 trays of 6 rolls. She keeps 9 rolls for her family and sells the others at 2 dollars"
            " each. How many dollars does she earn?",
            "Step 1: The baker makes 14 * 6 = 84 rolls.\n"
            "Step 2: She sells 84 - 9 = 75 rolls.\n"
            "Step 3: She earns 75 * 2 = 150 dollars.\n"
            "The answer is 150.",
        ),
        (
            "Omar runs 3 km on each weekday and 8 km on Saturday. How many km does he run in 4 weeks?",
            "Step 1: On weekdays he runs 5 * 3 = 15 km a week.\n"
            "Step 2: With Saturday that is 15 + 8 = 23 km a week.\n"
            "Step 3: In 4 weeks he runs 4 * 23 = 92 km.\n"
            "The answer is 92.",
        ),
        (
            "A water tank holds 240 litres and is 3/4 full. A garden takes 12 litres a day. For how many days does the"
            " water last?",
            "Step 1: The tank holds 240 * 3 / 4 = 180 litres of water.\n"
            "Step 2: The water lasts 180 / 12 = 15 days.\n"
            "The answer is 15.",
        ),
        (
            "Lin has 50 stickers. She gives 12 to her brother, buys 3 packs of 8, and then loses 5. How many has she"
            " now?",
            "Step 1: After the gift Lin has 50 - 12 = 38 stickers.\n"
            "Step 2: The packs hold 3 * 8 = 24 stickers.\n"
            "Step 3: With them she has 38 + 24 = 62 stickers.\n"
            "Step 4: After losing 5 she has 62 - 5 = 57 stickers.\n"
            "The answer is 57.",
        ),
    ),
    "math": (
        (
            "Find the sum of all real $x$ with $x^2 - 7x + 10 = 0$.",
            "Step 1: The quadratic factors as $(x - 2)(x - 5) = 0$.\n"
            "Step 2: Its roots are $2$ and $5$, and their sum is $2 + 5 = 7$.\n"
            "The answer is $\\boxed{7}$.",
        ),
        (
            "How many three-digit numbers use only the digits 1, 2, 3 and are divisible by 3?",
            "Step 1: A number is divisible by 3 when its digit sum is; here the sum lies between 3 and 9.\n"
            "Step 2: For any first two digits exactly one third digit makes the sum a multiple of 3, because 1, 2, 3"
            " leave three different remainders.\n"
            "Step 3: There are $3 \\cdot 3 = 9$ choices of the first two digits, so $9$ numbers.\n"
            "The answer is $\\boxed{9}$.",
        ),
        (
            "A right triangle has legs $5$ and $12$. What is the radius of its inscribed circle?",
            "Step 1: The hypotenuse is $\\sqrt{25 + 144} = 13$.\n"
            "Step 2: The inradius of a right triangle is $\\frac{a + b - c}{2} = \\frac{5 + 12 - 13}{2} = 2$.\n"
            "The answer is $\\boxed{2}$.",
        ),
        (
            "If $2^{x} \\cdot 4^{x+1} = 32$, what is $x$?",
            "Step 1: Write both sides with base 2: $2^{x + 2(x+1)} = 2^5$.\n"
            "Step 2: So $3x + 2 = 5$, which gives $x = 1$.\n"
            "The answer is $\\boxed{1}$.",
        ),
    ),
    "code": (
        (
            "Write a function `longest_word(text)` that returns the longest word of a text, and of several the first.",
            "`max` keeps the first of several that are equally long. A text without words has no longest one, so the"
            " default is an empty text.\n"
            "```python\n"
            "def longest_word(text):\n"
            '    return max(text.split(), key=len, default="")\n'
            "```",
        ),
        (
            "Write a function `running_total(numbers)` that returns the list of sums of the numbers so far.",
            "One pass with a sum that grows, which is noted after each number.\n"
            "```python\n"
            "def running_total(numbers):\n"
            "    total, totals = 0, []\n"
            "    for number in numbers:\n"
            "        total += number\n"
            "        totals.append(total)\n"
            "    return totals\n"
            "```",
        ),
    ),
    "choice": (
        (
            "Where would you most likely keep milk so that it stays fresh?\n"
            "(A) oven\n(B) refrigerator\n(C) bookshelf\n(D) garden\n(E) drawer",
            "Milk spoils when it is warm, so it needs a cold place. An oven is hot; a bookshelf, a garden and a drawer"
            " are not cooled. A refrigerator is made to keep food cold.\n"
            "The answer is (B).",
        ),
        (
            "What do people usually do when a bus is very full?\n"
            "(A) swim\n(B) plant trees\n(C) stand\n(D) cook\n(E) fly",
            "In a full bus all the seats are taken, so those who get on have to stay on their feet. The other choices"
            " cannot be done in a bus.\n"
            "The answer is (C).",
        ),
        (
            "A person who wants to hear a lecture should be what?\n"
            "(A) quiet\n(B) hungry\n(C) tall\n(D) asleep\n(E) famous",
            "To hear a speaker one must not make noise. Being hungry, tall or famous does not help, and someone asleep"
            " hears nothing.\n"
            "The answer is (A).",
        ),
        (
            "What is a likely result of leaving a bicycle in the rain for months?\n"
            "(A) speed\n(B) music\n(C) growth\n(D) rust\n(E) laughter",
            "Rain wets the steel parts of a bicycle, and wet steel reacts with air over time, which makes rust.\n"
            "The answer is (D).",
        ),
    ),
}
