"""The demo's programmer: a Llama of about a million parameters, taught programs and tests on the spot in minutes.

It slips in both, so that Sol-Ver has something to learn from. Called by `lema_ray.models` on first use.
"""

from __future__ import annotations

from pathlib import Path

from lema_ray.demo.base_model import BaseModelSettings, taught_id, teach, texts_of

SETTINGS = BaseModelSettings(problems=400, drills=0, checks=0, steps=500)
EACH = 20
"""Programs, and replies with tests, that are taught of each problem."""
RECIPE_FILES = (
    "base_model.py", "mutations.py", "program_kinds.py", "program_lessons.py", "program_problems.py",
    "programming_model.py", "tokenizer.py",
)  # fmt: skip


def recipe_id() -> str:
    """The cache key: another one as soon as anything that goes into the model changes."""
    from lema_ray.attempts import INSTRUCTIONS
    from lema_ray.recipes.solver_prompts import WRITE_TESTS

    return taught_id("programs", SETTINGS, [INSTRUCTIONS["code"], WRITE_TESTS], RECIPE_FILES)


def train_programming_model(folder: Path, settings: BaseModelSettings = SETTINGS) -> None:
    """Teach a new model and write it to a folder. Prints its progress; minutes of one core."""
    from lema_ray.demo.program_kinds import KINDS
    from lema_ray.demo.program_lessons import program_lessons

    taught = program_lessons(settings.problems, EACH, settings.seed)
    teach(settings, taught, texts_of(taught[:8000]), [kind.name for kind in KINDS], folder)
