"""How true the marks are that a model writes behind its own steps (`lema_ray.demo.marks`), by operation.

    .venv/bin/python benchmarks/marks.py RUN      # a folder that was collected with demo/marked-problems

Every calculation of every attempt, held against what it should come to.
"""

from __future__ import annotations

import re
import sys
from collections import Counter

from lema_ray.demo.grammar import Calculation
from lema_ray.demo.marks import MARK
from lema_ray.records import GradedQuestion
from lema_ray.runs import RunFolder

STEP = re.compile(rf"(\d+) ([-+*/]) (\d+) = (\d+)[^\n]*?{MARK}[^\n]*?, (right|wrong)\.")


def main() -> None:
    """Print, for each operation, how many results are right and wrong and what was said of them."""
    seen = Counter[tuple[str, bool, str]]()
    for graded in RunFolder(sys.argv[1]).read_records(GradedQuestion, "collected"):
        for one in graded.attempts:
            seen.update(_marks(one.attempt.text))
    for symbol in "+-*/":
        right, slips = ([seen[symbol, true, said] for said in ("right", "wrong")] for true in (True, False))
        print(
            f"{symbol}  {sum(right)} right, of which called wrong {right[1]};"
            f"  {sum(slips)} slips, of which called wrong {slips[1]} ({slips[1] / max(1, sum(slips)):.0%})"
        )


def _marks(text: str) -> list[tuple[str, bool, str]]:
    made = [(Calculation(int(a), s, int(b), int(c)), said) for a, s, b, c, said in STEP.findall(text)]
    return [(one.symbol, one.result == one.true_result, said) for one, said in made]


if __name__ == "__main__":
    main()
