"""`variants`: mixes of one arm that are tried before its training set is built."""

from __future__ import annotations

from pydantic import Field

from lema_ray.config.models import ArmConfig
from lema_ray.config.section import Section


class VariantsConfig(Section):
    """`lema build --variants`: every mix is trained for a moment; the best on held-out training questions is built."""

    arm: str | None = Field(None, description="whose mix is chosen; default: the last arm")
    mixes: dict[str, ArmConfig] = Field(min_length=2, description="what the arm could be, by a name for each")
    steps: int = Field(100, gt=0, description="of training, for each mix and seed")
    seeds: tuple[int, ...] = Field((), description="of training; default: the run's seed")
    questions: int | None = Field(
        None, gt=0, description="at most so many of those that build.dev_fraction holds out; default: all of them"
    )
