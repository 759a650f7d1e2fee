"""Questions made by rule, for `read`: reasoning-gym's tasks, and the demo's own word and programming problems."""

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


def made_by_rule(name: str, count: int, seed: int, options: dict[str, Any]) -> Iterator[tuple[str, Question]]:
    """`count` problems of the demo, `word_problems` or `program_problems`, with where they come from.

    Raises `QuestionError` for unknown options.
    """
    from lema_ray.demo import program_problems, word_problems

    try:
        if name == "program_problems":
            questions = program_problems.generate(count, seed, **options)
        else:
            questions = (problem.question for problem in word_problems.generate(count, seed, **options))
        for number, question in enumerate(questions, 1):
            yield f"{name}:{number}", question
    except (TypeError, ValueError) as error:
        raise QuestionError(f"source {name}: {error}") from None
