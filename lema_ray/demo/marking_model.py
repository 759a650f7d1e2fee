"""The demo's base model that marks its own steps: like `base_model`'s, taught `homework` with numbers to 299.

It slips where it has to take away or to divide and says so behind the step, and goes on from the wrong number all the
same: a student that knows more about its mistakes than it makes use of, as a pretrained model does. Called by
`lema_ray.models` on first use, for `jobs/configs/study.yaml`.
"""

from __future__ import annotations

from pathlib import Path

from lema_ray.demo.base_model import RECIPE_FILES as BASE_FILES
from lema_ray.demo.base_model import BaseModelSettings, taught_id, teach, texts_of

SETTINGS = BaseModelSettings(problems=17_000, drills=5_000, checks=18_000, steps=1_600, max_value=299)
RECIPE_FILES = (*BASE_FILES, "homework.py", "marking_model.py", "marks.py")


def recipe_id() -> str:
    """The cache key: another one as soon as anything that goes into the model changes."""
    from lema_ray.attempts import INSTRUCTIONS

    return taught_id("marked-problems", SETTINGS, [INSTRUCTIONS["arithmetic"]], RECIPE_FILES)


def train_marking_model(folder: Path, settings: BaseModelSettings = SETTINGS) -> None:
    """Teach a new model and write it to a folder. Prints its progress; ten to fifteen minutes of one core."""
    from lema_ray.demo.homework import homework_lessons
    from lema_ray.demo.lessons import teacher_texts
    from lema_ray.demo.word_problems import NAMES, THINGS

    s = settings
    taught = homework_lessons(s.problems, s.drills, s.checks, s.max_value, s.seed)
    teach(s, taught, [*texts_of(taught[:8000]), *teacher_texts(2500, s.seed)], [*NAMES, *THINGS], folder)
