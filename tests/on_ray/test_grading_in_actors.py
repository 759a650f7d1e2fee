"""Grading inside Ray actors, plain and async: no signal, no thread and no `__main__` stands in its way."""

from __future__ import annotations

import asyncio

import pytest
import ray

from lema_ray.grading import GradingPool
from lema_ray.records import Question

pytestmark = pytest.mark.ray
ITEMS = [
    ("\\boxed{(x-2)^2}", Question("", "", "x^2-4x+4", "", "math")),
    ("The answer is 4.", Question("", "", "5", "")),
]


def test_a_plain_and_an_async_actor_grade_alike(cluster: None) -> None:
    class Plain:
        def grade(self) -> list[str]:
            with GradingPool(20, 1) as pool:
                return [g.verdict for g in pool.grade_all(ITEMS)]

    class Async:
        async def grade(self) -> list[str]:
            with GradingPool(20, 1) as pool:
                return [g.verdict for g in await asyncio.to_thread(pool.grade_all, ITEMS)]

    actors = [ray.remote(num_cpus=0)(kind).remote() for kind in (Plain, Async)]
    assert ray.get([actor.grade.remote() for actor in actors], timeout=200) == [["right", "wrong"]] * 2
