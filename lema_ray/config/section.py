"""What every part of the config is made of."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from lema_ray.errors import LemaError


class ConfigError(LemaError):
    """The config cannot be used; the message says where and what to do."""


class Section(BaseModel):
    """A part of the config: frozen, and strict about its keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())
