"""Peak memory of scoring and comparing two models' evaluations, at two sizes.

    python benchmarks/evaluation_memory.py 10000 1000000

Each size runs in a process of its own. Rows are made up as they stream by, as they would be read from Parquet: four
samples a question, levels and types, answers that vote.
"""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Iterator

from lema_ray.records import Attempt, Grade, GradedAttempt, GradedQuestion, Question

SAMPLES = 4


def rows(questions: int, skill: float, seed: int) -> Iterator[GradedQuestion]:
    """Graded questions of a model that is right with that probability."""
    rng = random.Random(seed)
    for number in range(questions):
        question = Question(f"{number:016x}", "How many?", "7", "made up", level=str(number % 5), type=str(number % 7))
        attempts = []
        for k in range(SAMPLES):
            right = rng.random() < skill
            answer = "7" if right else str(rng.randrange(8, 12))
            attempt = Attempt(f"{number}/{k}", f"It is {answer}.", "model", prompt_tokens=60, completion_tokens=90)
            grade = Grade("right" if right else "wrong", answer, ("last_number", "number"))
            attempts.append(GradedAttempt(attempt, grade))
        yield GradedQuestion(question, tuple(attempts))


def measure(questions: int) -> None:
    """Score, compare, and print what it took."""
    import resource

    from lema_ray.evaluation.scores import compare, score
    from lema_ray.evaluation.tally import tally

    start = time.perf_counter()
    before, after = tally(rows(questions, 0.5, 0)), tally(rows(questions, 0.51, 1))
    streamed = time.perf_counter() - start
    scores = score("base", "T=0.7", before), score("lema", "T=0.7", after)
    found = compare("base", "lema", "T=0.7", before, after)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    took = time.perf_counter() - start - streamed
    print(f"{questions:,} questions x {SAMPLES} x 2 models: peak {peak:,.0f} MB")
    print(f"  {streamed:.0f} s to stream, {took:.1f} s for the statistics")
    print(f"  avg@{SAMPLES} {scores[0].pass_at_1:.4f} and {scores[1].pass_at_1:.4f}, p {found.p_value:.4f}", flush=True)


def main() -> None:
    """Measure each size in a process of its own."""
    sizes = [int(size) for size in sys.argv[1:]] or [10_000, 1_000_000]
    if len(sizes) == 1:
        measure(sizes[0])
        return
    for size in sizes:
        subprocess.run([sys.executable, __file__, str(size)], check=True)


if __name__ == "__main__":
    main()
