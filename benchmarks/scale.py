"""The collect pipeline with scripted engines as it grows: more actors, more rows, more requests.

    .venv/bin/python benchmarks/scale.py actors [1 2 4 8]
    .venv/bin/python benchmarks/scale.py rows [1000 10000 100000]
    .venv/bin/python benchmarks/scale.py requests [20000]

`actors`: answers a second by students that wait a second for each and have four at a time, so an actor can do four a
second; the share of that which is done while all are at work is the efficiency of the pipeline around them. Where the
cores are busy with something else, that is measured too. `rows`: the driver's peak memory (ru_maxrss) and CPU time, one
attempt and one correction a question. `requests`: the CPU time of driver and limiter when the corrector is an endpoint
(`lema fault-server`), leases, retries, paid log and all. Each size runs in a process of its own.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from fault_server import fault_server

SIZES = {"actors": (1, 2, 4, 8), "rows": (1_000, 10_000, 100_000), "requests": (20_000,)}
CONCURRENCY, LATENCY_S, SECONDS = 4, 1.0, 25
WRONG = "Step 1: I count 1 + 1 = 3.\nThe answer is 3."
RIGHT = (
    "Incorrect Step: Step 1\nExplanation: One and one are two.\nCorrect Solution:\n"
    "Step 1: I count 1 + 1 = 2.\nStep 2: The answer is 2."
)


def solve(messages: object, sampling: object) -> str:
    """A student that is wrong about everything."""
    return WRONG


def solve_and_note(messages: object, sampling: object) -> str:
    """`solve`, noted with its time by the process that answers."""
    with open(f"{os.environ['LEMA_BENCH_NOTES']}/{os.getpid()}", "a") as notes:
        notes.write(f"{time.time()}\n")
    return WRONG


def correct(messages: object, sampling: object) -> str:
    """A corrector in the asked format, right about everything: every reference here is 2."""
    return RIGHT


def scripted(function: str, **more: object) -> dict[str, Any]:
    """An engine of this file."""
    return {"type": "scripted", "model": "scripted", "script": f"scale:{function}"} | more


def collect(rows: int, folder: str, student: dict[str, Any], corrector: dict[str, Any]) -> dict[str, Any]:
    """Collect over so many questions; the stage's counts, with the seconds it took."""
    from lema_ray.config import parse_config
    from lema_ray.on_ray.flow import Flow

    path = Path(folder, "questions.jsonl")
    with path.open("w") as file:
        file.writelines(f'{{"question": "Question {i}: what is 1 + 1?", "answer": "2"}}\n' for i in range(rows))
    train = {"source": "files", "path": str(path)}
    raw = {"name": "scale", "runs_dir": folder, "questions": {"train": train}, "ray": {"num_cpus": 4}}
    flow = Flow(parse_config(raw | {"students": [{"samples": 1} | student], "corrector": corrector}))
    flow.questions()
    return flow.collect()


def measure_actors(actors: int, folder: str) -> dict[str, Any]:
    """The rate and the efficiency of so many actors."""
    # Blocks of 32 rows, several in flight per actor: the end, at which some actors run dry, is not the rate.
    rows = int(actors * CONCURRENCY / LATENCY_S * SECONDS) + actors * 256
    notes = Path(folder, "notes")
    notes.mkdir()
    os.environ["LEMA_BENCH_NOTES"] = str(notes)
    engine = scripted("solve_and_note", latency_s=LATENCY_S, concurrency=CONCURRENCY)
    student = {"engine": engine, "actors": {"min": actors, "max": actors, "cpus": 0.25}}
    collect(rows, folder, student, {"engine": scripted("correct")})
    return {"actors": actors} | rate(notes, actors)


def rate(notes: Path, actors: int) -> dict[str, float]:
    """Answers a second while all actors were at work, against what they could have given."""
    times = [sorted(map(float, file.read_text().split())) for file in notes.iterdir()]
    if len(times) < actors:
        raise SystemExit(f"only {len(times)} of {actors} actors were given work")
    start, end = max(t[0] for t in times), min(t[-1] for t in times)
    per_second = sum(start <= t <= end for each in times for t in each) / (end - start)
    efficiency = per_second / (actors * CONCURRENCY / LATENCY_S)
    return {"seconds": round(end - start, 1), "per_second": round(per_second, 2), "efficiency": round(efficiency, 3)}


def measure_rows(rows: int, folder: str) -> dict[str, Any]:
    """The driver's peak memory and CPU seconds."""
    counts = collect(rows, folder, {"engine": scripted("solve")}, {"engine": scripted("correct")})
    used = resource.getrusage(resource.RUSAGE_SELF)
    driver = {"peak_mb": round(used.ru_maxrss / 1024), "driver_cpu_s": round(used.ru_utime + used.ru_stime, 1)}
    return {"rows": rows, "seconds": round(counts["seconds"]), "out": counts["corrections"]} | driver


def measure_requests(rows: int, folder: str) -> dict[str, Any]:
    """CPU seconds of the driver and of the limiter over one request a row."""
    limiter: dict[int, float] = {}
    before = time.process_time()
    with fault_server("--latency-s", 0.05) as url, watched("Limiters", limiter):
        engine = {"type": "openai", "model": "rule-based-teacher", "base_url": url, "concurrency": 64}
        counts = collect(rows, folder, {"engine": scripted("solve")}, {"engine": engine})
    cpu = {"driver_cpu_s": time.process_time() - before, "limiter_cpu_s": sum(limiter.values())}
    done = {"requests": counts["requests"] - rows, "seconds": round(counts["seconds"])}
    return done | {name: round(seconds, 1) for name, seconds in cpu.items()}


@contextmanager
def watched(actor: str, seconds: dict[int, float]) -> Iterator[None]:
    """Note, by process, the CPU seconds of an actor of this cluster, each second while the body runs."""
    done = threading.Event()

    def watch() -> None:
        while not done.wait(1.0):
            for process in psutil.Process().children(recursive=True):
                try:
                    if f"ray::{actor}" in " ".join(process.cmdline()):
                        seconds[process.pid] = sum(process.cpu_times()[:2])
                except psutil.NoSuchProcess:
                    continue

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


MEASURES = {"actors": measure_actors, "rows": measure_rows, "requests": measure_requests}

if __name__ == "__main__":
    what, *given = sys.argv[1:] or ["actors"]
    if given[:1] == ["--one"]:
        with tempfile.TemporaryDirectory() as made:
            print(json.dumps(MEASURES[what](int(given[1]), made)))
    else:
        for size in [int(n) for n in given] or SIZES[what]:
            command = [sys.executable, __file__, what, "--one", str(size)]
            output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            # Ray may have written lines of its own around the figures.
            print([line for line in output.splitlines() if line.startswith("{")][-1], flush=True)
