"""What the doubts of a run's models were worth, where the questions are word problems that can be calculated again.

    .venv/bin/python benchmarks/doubts.py RUN [RUN ...]

A doubt is justified when a step before it is wrong (`lema_ray.demo.before`); `lema methods` knows no more than the
answers that a solution states, and hardly any states one before it doubts. Several runs are added up.
"""

from __future__ import annotations

import sys
from collections import defaultdict

from lema_ray.demo.before import story_before
from lema_ray.evaluation.scores import evaluation_files
from lema_ray.records import GradedQuestion
from lema_ray.runs import RunFolder
from lema_ray.self_correction.measures import SelfCorrection, measure


def main() -> None:
    """Print a row for each model and way of asking."""
    counted: dict[tuple[str, str], SelfCorrection] = defaultdict(SelfCorrection)
    for folder in sys.argv[1:]:
        run = RunFolder(folder)
        for (model, way), file in evaluation_files(run).items():
            counted[model, way].sum(measure(run.read_records(GradedQuestion, "evaluations", file), story_before))
    print("| model, asked | answers | right | doubted | justified | wrong to right | right to wrong | extra tokens |")
    print("|---|---|---|---|---|---|---|---|")
    for (model, way), one in counted.items():
        cells = (one.attempts, f"{one.right / one.attempts:.1%}", one.doubting, one.doubted_wrong, one.wrong_to_right)
        rest = (one.right_to_wrong, f"{one.extra_tokens / one.attempts:.1f}")
        print("|", " | ".join(map(str, (f"{model}, {way}", *cells, *rest))), "|")


if __name__ == "__main__":
    main()
