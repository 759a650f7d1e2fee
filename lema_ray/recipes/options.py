"""How recipes read `recipe.options`, and the options that several of them share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import Field, ValidationError

from lema_ray.config import ConfigError, SamplingConfig, Section

Options = TypeVar("Options", bound=Section)


class InjectOptions(Section):
    """Mistakes made on purpose (`injection`)."""

    inject: int = Field(3, ge=0, description="mistakes to make on purpose per question; 0: none")
    dataset_weight: float = Field(
        0.5, ge=0, le=1, description="weight of the data set's error types against the question's own"
    )
    prior: dict[str, float] | None = Field(
        None, description="shares of error types by code; default: the taxonomy's for the task"
    )
    inject_sampling: SamplingConfig = SamplingConfig(temperature=0.7, max_tokens=1024)


def read_options(kind: type[Options], recipe: str, options: Mapping[str, Any]) -> Options:
    """The options of a config. Raises `ConfigError` that names each bad one."""
    try:
        return kind.model_validate(dict(options))
    except ValidationError as error:
        known = ", ".join(kind.model_fields)
        problems = (f"recipe.options.{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise ConfigError("\n".join([*problems, f"recipe {recipe} has the options {known}"])) from None
