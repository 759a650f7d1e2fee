"""Fixtures of the build's tests."""

from collections.abc import Callable, Iterable

import pytest

from lema_ray.records import GradedQuestion, Question
from lema_ray.runs import RunFolder


@pytest.fixture(scope="session")
def collected(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., RunFolder]:
    """Makes a new run of collected rows, in two parts, and test questions if any."""

    def make(rows: Iterable[GradedQuestion], test: Iterable[Question] = ()) -> RunFolder:
        run, rows = RunFolder(str(tmp_path_factory.mktemp("run"))), list(rows)
        run.write_records(rows[::2], GradedQuestion, "collected", "part-0.parquet")
        run.write_records(rows[1::2], GradedQuestion, "collected", "part-1.parquet")
        run.write_records(list(test), Question, "questions", "test.parquet")
        return run

    return make
