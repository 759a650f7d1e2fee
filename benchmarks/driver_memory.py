"""The driver's peak memory over the collect pipeline with scripted engines, at 1,000, 10,000 and 100,000 questions.

    .venv/bin/python benchmarks/driver_memory.py [rows ...]

Each size runs in a process of its own, whose peak resident memory (ru_maxrss) is read when it ends.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SIZES = (1_000, 10_000, 100_000)


def solve(messages: object, sampling: object) -> str:
    """A student that is wrong about everything."""
    return "Step 1: I count 1 + 1 = 3.\nThe answer is 3."


def correct(messages: object, sampling: object) -> str:
    """A corrector in the asked format, right about everything: every reference here is 2."""
    return (
        "Incorrect Step: Step 1\nExplanation: One and one are two.\nCorrect Solution:\n"
        "Step 1: I count 1 + 1 = 2.\nStep 2: The answer is 2."
    )


def measure(rows: int) -> None:
    """Run one size in this process and print its figures as JSON."""
    from lema_ray.config import parse_config
    from lema_ray.on_ray.flow import Flow

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "questions.jsonl")
        with path.open("w") as file:
            file.writelines(f'{{"question": "Question {i}: what is 1 + 1?", "answer": "2"}}\n' for i in range(rows))
        flow = Flow(parse_config(config(folder, str(path))))
        flow.questions()
        start = time.monotonic()
        counts = flow.collect()
        seconds = time.monotonic() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"rows": rows, "peak_mb": round(peak), "seconds": round(seconds), "out": counts["corrections"]}))


def config(folder: str, path: str) -> dict[str, object]:
    """One attempt and one correction per question."""
    engine = {"type": "scripted", "model": "scripted"}
    return {
        "name": "memory",
        "runs_dir": folder,
        "questions": {"train": {"source": "files", "path": path}},
        "students": [{"engine": engine | {"script": "driver_memory:solve"}, "samples": 1}],
        "corrector": {"engine": engine | {"script": "driver_memory:correct"}},
        "ray": {"num_cpus": 4},
    }


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        measure(int(sys.argv[2]))
    else:
        for size in [int(n) for n in sys.argv[1:]] or SIZES:
            command = [sys.executable, __file__, "--one", str(size)]
            output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            # Ray may have written lines of its own around the figures.
            print([line for line in output.splitlines() if line.startswith("{")][-1], flush=True)
