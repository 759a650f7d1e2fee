"""Questions made by rule, for `read`: reasoning-gym's tasks and the demo's own word problems."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Any

from lema_ray.questions.errors import QuestionError
from lema_ray.questions.readers import Row
from lema_ray.records import Question


def reasoning_gym_rows(count: int, seed: int, options: dict[str, Any]) -> Iterator[Row]:
    """`count` rows with `question` and `answer` of the reasoning-gym task `options["dataset"]`.

    The other options are that task's own. Raises `QuestionError` for an unknown task or option.
    """
    try:
        from reasoning_gym import create_dataset
        from reasoning_gym.factory import DATASETS
    except ImportError:
        raise QuestionError("source reasoning_gym: not installed; pip install 'lema-ray[demo]'") from None
    settings = dict(options)
    name = settings.pop("dataset", None)
    if name not in DATASETS:
        near = difflib.get_close_matches(str(name), DATASETS, n=3) or sorted(DATASETS)[:5]
        raise QuestionError(f"source reasoning_gym: options.dataset is {name!r}; did you mean {', '.join(near)}?")
    try:
        rows = create_dataset(name, size=count, seed=seed, **settings)
    except (TypeError, ValueError, AssertionError) as error:
        raise QuestionError(f"source reasoning_gym: {name} does not take these options: {error}") from None
    for number in range(count):
        yield Row(f"reasoning_gym/{name}:{number + 1}", rows[number])


def word_problems(count: int, seed: int, options: dict[str, Any]) -> Iterator[tuple[str, Question]]:
    """`count` word problems of the demo, with where they come from. Raises `QuestionError` for unknown options."""
    from lema_ray.demo.word_problems import generate

    try:
        for number, problem in enumerate(generate(count, seed, **options), 1):
            yield f"word_problems:{number}", problem.question
    except (TypeError, ValueError) as error:
        raise QuestionError(f"source word_problems: {error}") from None
