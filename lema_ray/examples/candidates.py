"""The first pass of the build: every row that some arm could take, cleaned, split and counted, in one Parquet file.

Called by `build`. Held in memory are hashes and counters, never the texts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lema_ray.config import BuildConfig, RunConfig
from lema_ray.examples.contamination import TestQuestions
from lema_ray.examples.sieve import Sieve
from lema_ray.examples.tally import Tally
from lema_ray.examples.units import correction_recipes, units_of
from lema_ray.questions.store import writing_records
from lema_ray.records import Dropped, GradedQuestion, Question, TrainingExample, content_id
from lema_ray.runs import RunFolder

CANDIDATES = ("examples", "candidates.parquet")
DROPPED = ("examples", "dropped.parquet")
BATCH = 64


@dataclass(frozen=True, slots=True)
class Candidate:
    """A row that arms may take. `tokens` are the prompt's and the target's; `learned` are those that carry loss."""

    group: str
    dev: bool
    tokens: int
    learned: int
    example: TrainingExample


def write_candidates(
    config: RunConfig,
    run: RunFolder,
    collected: RunFolder,
    count_tokens: Callable[[str], int],
    max_length: int | None,
) -> Tally:
    """Write `examples/candidates.parquet` and `examples/dropped.parquet`; returns what was seen, kept and dropped."""
    sieve = Sieve(config.build, _test_questions(config.build, run), count_tokens, max_length)
    recipes, tally = correction_recipes(config), Tally()
    with writing_records(run, Candidate, *CANDIDATES) as keep, writing_records(run, Dropped, *DROPPED) as drop:
        for graded in collected.read_records(GradedQuestion, "collected", batch_rows=BATCH):
            tally.see(graded)
            dev = in_dev(graded.question.id, config)
            for unit in units_of(graded, config, recipes):
                for row in sieve.judge(graded.question, unit):
                    tally.note(graded.question, unit, row)
                    if row.dropped:
                        drop(row.dropped)
                    else:
                        keep(Candidate(row.group, dev, row.tokens, row.learned, row.example))
    return tally


def in_dev(question_id: str, config: RunConfig) -> bool:
    """Whether a question is held out to watch the loss: decided by its id and the seed, so alike in every arm."""
    return int(content_id(str(config.seed), "dev", question_id), 16) / 2**64 < config.build.dev_fraction


def _test_questions(config: BuildConfig, run: RunFolder) -> TestQuestions | None:
    if config.decontaminate_ngram is None or not run.exists("questions", "test.parquet"):
        return None
    return TestQuestions(run.read_records(Question, "questions", "test.parquet"), config.decontaminate_ngram)
