"""Many more rows, hardly more memory: what is held of a row are its hash and its sizes."""

import subprocess
import sys
from pathlib import Path

import pytest

CHILD = """
import resource, sys
from dataclasses import replace
sys.path.insert(0, sys.argv[3])
from made_up_run import count_words, make_config, make_graded
from lema_ray.examples import build_examples
from lema_ray.records import GradedQuestion
from lema_ray.runs import RunFolder
run, parts = RunFolder(sys.argv[1]), int(sys.argv[2])
for part in range(parts):
    rows = [make_graded(n, mistakes=1) for n in range(part * 250, part * 250 + 250)]
    rows = [replace(g, question=replace(g.question, solution=f"{g.question.id} " * 1500)) for g in rows]
    run.write_records(rows, GradedQuestion, "collected", f"part-{part:03}.parquet")
card = build_examples(make_config(cot_per_question=3, near_duplicates=None), run, count_words)
print(sum(arm["train"]["rows"] for arm in card["arms"].values()), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def rows_and_peak(folder: Path, parts: int) -> tuple[int, int]:
    """Rows written and peak memory in KiB of a build in its own process."""
    child = [sys.executable, "-c", CHILD, str(folder), str(parts), str(Path(__file__).parent)]
    done = subprocess.run(child, capture_output=True, text=True, check=True)
    rows, peak = done.stdout.split()
    return int(rows), int(peak)


@pytest.mark.timeout(240)
def test_seven_times_the_rows_take_hardly_more_memory(tmp_path: Path) -> None:
    small, small_peak = rows_and_peak(tmp_path / "small", 2)
    large, large_peak = rows_and_peak(tmp_path / "large", 14)
    assert large - small > 15_000
    # The 3,000 solutions more are 76 MB of text.
    assert large_peak - small_peak < 35 * 1024
