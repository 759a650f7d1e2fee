"""Work done per second by 1, 2, 4 and 8 actors of a student that waits a second for each answer.

    .venv/bin/python benchmarks/scale.py [actors ...]

An actor has four requests at a time, so it can do four a second; the share of that which is done while all are at work
is the efficiency of the pipeline around them. Start-up is left out: answers are counted from when every actor has begun
until one has run out of questions. Where the cores are busy with something else, that is measured too.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from driver_memory import config

SIZES = (1, 2, 4, 8)
CONCURRENCY, LATENCY_S, SECONDS = 4, 1.0, 25


def solve_and_note(messages: object, sampling: object) -> str:
    """A wrong answer, noted with its time by the process that gave it."""
    with open(f"{os.environ['LEMA_BENCH_NOTES']}/{os.getpid()}", "a") as notes:
        notes.write(f"{time.time()}\n")
    return "Step 1: I count 1 + 1 = 3.\nThe answer is 3."


def measure(actors: int) -> None:
    """Collect with so many actors; print the rate and the efficiency as JSON."""
    from lema_ray.config import parse_config
    from lema_ray.on_ray.flow import Flow

    # Blocks of 32 rows, several in flight per actor: the end, at which some actors run dry, is not the rate.
    rows = int(actors * CONCURRENCY / LATENCY_S * SECONDS) + actors * 256
    with tempfile.TemporaryDirectory() as folder:
        os.environ["LEMA_BENCH_NOTES"] = f"{folder}/notes"
        Path(folder, "notes").mkdir()
        path = Path(folder, "questions.jsonl")
        path.write_text("".join(f'{{"question": "Question {i}: 1 + 1?", "answer": "2"}}\n' for i in range(rows)))
        raw = config(folder, str(path))
        engine = {"type": "scripted", "script": "scale:solve_and_note", "model": "scripted"}
        engine |= {"latency_s": LATENCY_S, "concurrency": CONCURRENCY}
        raw["students"] = [{"engine": engine, "samples": 1, "actors": {"min": actors, "max": actors, "cpus": 0.25}}]
        flow = Flow(parse_config(raw))
        flow.questions()
        flow.collect()
        print(json.dumps({"actors": actors} | rate(Path(folder, "notes"), actors)))


def rate(notes: Path, actors: int) -> dict[str, float]:
    """Answers a second while all actors were at work, against what they could have given."""
    times = [sorted(map(float, file.read_text().split())) for file in notes.iterdir()]
    if len(times) < actors:
        raise SystemExit(f"only {len(times)} of {actors} actors were given work")
    start, end = max(t[0] for t in times), min(t[-1] for t in times)
    done = sum(start <= t <= end for each in times for t in each)
    per_second = done / (end - start)
    efficiency = per_second / (actors * CONCURRENCY / LATENCY_S)
    return {"seconds": round(end - start, 1), "per_second": round(per_second, 2), "efficiency": round(efficiency, 3)}


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        measure(int(sys.argv[2]))
    else:
        for size in [int(n) for n in sys.argv[1:]] or SIZES:
            command = [sys.executable, __file__, "--one", str(size)]
            output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            print([line for line in output.splitlines() if line.startswith("{")][-1], flush=True)
