"""The grader beside math-verify alone and a paper's grader: accuracy, false accepts and rejects, seconds per 1,000.

    python benchmarks/grading.py path/to/data

The folder holds `grader_cases.jsonl` (hand-written, with what may be accepted), model solutions with verdicts
(`gsm8k_model_solutions_a.jsonl`, `errloc_processbench_a.jsonl`) and `math500_a.jsonl`. math-verify is called as its
users do, boxed answers first, in this process and with its own time-out; ours with one child process. Seconds are CPU
seconds of this process and its children, so that a busy machine does not change the ratio.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from lema_ray.grading import grade_all

Pair = tuple[str, str]
Accepts = Callable[[list[Pair]], list[bool]]


def rows(folder: Path, name: str) -> Iterator[dict[str, Any]]:
    with (folder / f"{name}.jsonl").open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def cases(folder: Path) -> list[tuple[Pair, bool]]:
    """The hand-written cases; long texts are built from their parts."""
    found = []
    for case in rows(folder, "grader_cases"):
        made = case.get("prediction_gen")
        text = made["head"] + made["unit"] * made["n"] + made["tail"] if made else case["prediction_text"]
        found.append(((text, case["reference"]), bool(case["expected"])))
    return found


def real(folder: Path) -> list[tuple[Pair, bool]]:
    """Real model solutions with their published verdicts, and MATH's own solutions."""
    found = [((r["solution"], r["reference"]), bool(r["is_correct"])) for r in rows(folder, "gsm8k_model_solutions_a")]
    for row in rows(folder, "errloc_processbench_a"):
        if row["reference"] and row["final_answer_correct"] is not None:
            found.append((("\n\n".join(row["steps"]), row["reference"]), row["final_answer_correct"]))
    return found + [((r["solution"], r["answer"]), True) for r in rows(folder, "math500_a")]


def ours(pairs: list[Pair]) -> list[bool]:
    """The default grader, whose process for slow comparisons is there already."""
    return [grade.verdict == "right" for grade in grade_all(pairs)]


def qwen(pairs: list[Pair]) -> list[bool]:
    """The rules of the harness that LEMMA uses."""
    return [grade.verdict == "right" for grade in grade_all(pairs, mode="qwen_math")]


def math_verify(pairs: list[Pair]) -> list[bool]:
    """math-verify alone, on whole solutions, boxed answers first."""
    from math_verify import ExprExtractionConfig, LatexExtractionConfig, parse, verify

    logging.disable(logging.CRITICAL)
    how = [LatexExtractionConfig(boxed_match_priority=0), ExprExtractionConfig()]
    return [bool(verify(parse(f"\\boxed{{{reference}}}", how), parse(text, how))) for text, reference in pairs]


def cpu_seconds() -> float:
    """CPU seconds that this process and its living children have used."""
    import psutil

    children = [child.cpu_times() for child in psutil.Process().children(recursive=True)]
    return time.process_time() + sum(times.user + times.system for times in children)


def table(name: str, labelled: list[tuple[Pair, bool]], graders: dict[str, Accepts]) -> dict[str, float]:
    """Print a row for each grader; returns its rate per CPU second."""
    pairs, expected = [pair for pair, _ in labelled], [right for _, right in labelled]
    rates = {}
    print(f"\n{name}: {len(pairs):,} ({sum(expected):,} to accept)\n")
    print("| grader | agreement | false accepts | false rejects | CPU s per 1,000 |\n|---|---|---|---|---|")
    for label, accepts in graders.items():
        accepts([*pairs[:3], ("\\boxed{\\sin x}", "\\cos x")])  # imports, grammars and processes are not counted
        start = cpu_seconds()
        said = accepts(pairs)
        seconds = cpu_seconds() - start
        rates[label] = len(pairs) / seconds
        wrong = [a and not e for a, e in zip(said, expected, strict=True)]
        missed = [e and not a for a, e in zip(said, expected, strict=True)]
        share = 1 - (sum(wrong) + sum(missed)) / len(pairs)
        print(
            f"| {label} | {share:.1%} | {sum(wrong)} | {sum(missed)} | {1000 * seconds / len(pairs):.2f} |", flush=True
        )
    return rates


def _many_numbers(count: int) -> int:
    items = [(f"We add {i} and 1.\nThe answer is {i + 1:,}.", str(i + 1 + i % 2)) for i in range(count)]
    return len(grade_all(items))


def plain_numbers(count: int = 40_000) -> float:
    """Plain-number answers a second with one process on each of two cores."""
    with ProcessPoolExecutor(2) as processes:
        list(processes.map(_many_numbers, [10, 10]))
        start = time.perf_counter()
        done = sum(processes.map(_many_numbers, [count // 2] * 2))
        return done / (time.perf_counter() - start)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, nargs="?", default=os.environ.get("LEMA_SHARED"))
    folder = parser.parse_args().data
    if folder is None or not Path(folder).is_dir():
        raise SystemExit("give the folder with the data, or set LEMA_SHARED")
    print(f"plain numbers, two processes: {plain_numbers():,.0f} answers a second")
    graders: dict[str, Accepts] = {"lema_ray": ours, "math-verify": math_verify, "qwen_math (LEMMA)": qwen}
    table("Hand-written cases", cases(Path(folder)), graders)
    rates = table("Real mixed solutions", real(Path(folder)), graders)
    print(f"\nreal mixed solutions, lema_ray against math-verify: {rates['lema_ray'] / rates['math-verify']:.1f} times")


if __name__ == "__main__":
    main()
