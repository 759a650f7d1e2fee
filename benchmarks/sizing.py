"""What a run of 10 K, 1 M and 100 M questions takes, by the plan's arithmetic: the table of docs/operations.md.

    .venv/bin/python benchmarks/sizing.py [config.yaml]

Calls and prompt lengths are the plan's (`lema_ray.planning`), from a sample of generated questions. Lengths of answers,
the share of wrong attempts and an engine's speed are assumptions, printed with the table: put in what a probe or the
first hour of your own run shows.
"""

import sys

from lema_ray.config import load_config
from lema_ray.demo.word_problems import generate
from lema_ray.planning.plan import askings, estimate_tokens
from lema_ray.spending.cost import price_of

SIZES = (10_000, 1_000_000, 100_000_000)
ANSWER_TOKENS, CORRECTION_TOKENS = 200, 300
WRONG_QUESTIONS, CORRECTIONS = 0.4, 1.3
"""Share of questions with a mistake, and corrections asked for each of them."""
GPU_TOKENS_PER_SECOND = 2_500
BYTES_PER_ATTEMPT = 400


def main(path: str) -> None:
    config = load_config(path)
    sample = [problem.question for problem in generate(100, seed=0)]
    print(f"assumed: {ANSWER_TOKENS} tokens an answer, {CORRECTION_TOKENS} a correction, {WRONG_QUESTIONS:.0%} of the")
    print(
        f"questions with a mistake, {CORRECTIONS} corrections each, {GPU_TOKENS_PER_SECOND} new tokens a second and GPU"
    )
    print("| questions | attempts | GPU hours | corrector calls | corrector tokens | its money | data |")
    print("|---|---|---|---|---|---|---|")
    for rows in SIZES:
        student, corrector = askings(config, rows, sample)
        attempts = student.calls[0]
        hours = attempts * ANSWER_TOKENS / GPU_TOKENS_PER_SECOND / 3600
        calls = int(rows * WRONG_QUESTIONS * CORRECTIONS)
        prompt = sum(map(estimate_tokens, corrector.prompts)) / len(corrector.prompts)
        money = price_of(corrector.engine).cost(round(calls * prompt), calls * CORRECTION_TOKENS)
        data = (attempts + calls) * BYTES_PER_ATTEMPT / 1e9
        tokens = calls * (prompt + CORRECTION_TOKENS) / 1e6
        print(
            f"| {rows:,} | {attempts:,} | {hours:,.1f} | {calls:,} | {tokens:,.0f} M | {money:,.0f} | {data:,.2f} GB |"
        )


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "cluster/configs/multi-gpu.yaml")
