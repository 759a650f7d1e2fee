"""The demo's programmer: a Llama of about a million parameters, taught programs and tests on the spot in minutes.

It slips in both, so that Sol-Ver has something to learn from. Called by `lema_ray.models` on first use.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from pathlib import Path

from lema_ray.demo.base_model import BaseModelSettings, teach, texts_of

SETTINGS = BaseModelSettings(problems=400, drills=0, checks=0, steps=500)
EACH = 20
"""Programs, and replies with tests, that are taught of each problem."""
RECIPE_FILES = (
    "base_model.py", "mutations.py", "program_kinds.py", "program_lessons.py", "program_problems.py",
    "programming_model.py", "tokenizer.py",
)  # fmt: skip


def recipe_id() -> str:
    """The cache key: another one as soon as anything that goes into the model changes."""
    here = Path(__file__).parent
    parts = [repr(asdict(SETTINGS)), *((here / name).read_text() for name in RECIPE_FILES)]
    return f"programs-{hashlib.blake2b(chr(31).join(parts).encode(), digest_size=8).hexdigest()}"


def train_programming_model(folder: Path, settings: BaseModelSettings = SETTINGS) -> None:
    """Teach a new model and write it to a folder. Prints its progress; minutes of one core."""
    from lema_ray.demo.program_kinds import KINDS
    from lema_ray.demo.program_lessons import program_lessons

    taught = program_lessons(settings.problems, EACH, settings.seed)
    teach(settings, taught, texts_of(taught[:8000]), [kind.name for kind in KINDS], folder)
