"""The small run that the tests of this folder change to their needs."""

from pathlib import Path
from typing import Any


def small(folder: Path, **changes: Any) -> dict[str, Any]:
    """Word problems, a scripted student who guesses, and the rule-based teacher in this process."""
    scripts = "on_ray_scripts"
    return {
        "name": "small",
        "runs_dir": str(folder),
        "questions": {
            "train": {"source": "word_problems", "count": 60, "seed": 1},
            "test": {"source": "word_problems", "count": 10, "seed": 2},
            "overlap": "drop",
        },
        "students": [{"engine": {"type": "scripted", "script": f"{scripts}:guess"}, "samples": 2}],
        "corrector": {"engine": {"type": "scripted", "script": f"{scripts}:teach", "model": "teacher"}},
    } | changes
