"""Graded questions to training sets: mix, clean, split, match, check lengths, export, and say what is in them.

`build_examples` is called by `lema build` and `jobs/`; training reads `examples/<arm>/train.parquet`.
"""

from lema_ray.examples.build import build_examples
from lema_ray.examples.error import BuildError

__all__ = ["BuildError", "build_examples"]
