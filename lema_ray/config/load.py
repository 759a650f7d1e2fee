"""Read a config: YAML, dotted overrides, and every problem named by its dotted key.

`load_config` is called by the CLI and by `jobs/`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from lema_ray.config.run import RunConfig
from lema_ray.config.section import ConfigError


class _Loader(yaml.SafeLoader):
    """YAML whose `1e-5` is a number, as everyone who writes a learning rate means it (YAML 1.1 wants 1.0e-5)."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), list("-+0123456789")
)


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> RunConfig:
    """The config of a YAML file with `a.b.0.c=value` overrides applied. Raises `ConfigError`."""
    try:
        raw = yaml.load(Path(path).read_text(), _Loader)
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {error}") from None
    if not isinstance(raw, dict):
        raise ConfigError(f"{path}: expected keys and values at the top level, found {type(raw).__name__}")
    for override in overrides:
        apply_override(raw, override)
    return parse_config(raw, str(path))


def parse_config(raw: dict[str, Any], where: str = "config") -> RunConfig:
    """The config of plain data. Raises `ConfigError` that lists every problem by its dotted key."""
    try:
        return RunConfig.model_validate(raw)
    except ValidationError as error:
        raise ConfigError("\n".join(f"{where}: {_explain(e)}" for e in error.errors())) from None


def apply_override(raw: dict[str, Any], override: str) -> None:
    """Set one `dotted.key=value` in plain data. Raises `ConfigError`."""
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise ConfigError(f"override {override!r}: expected dotted.key=value")
    try:
        value = yaml.load(text, _Loader)
    except yaml.YAMLError:
        raise ConfigError(f"override {override!r}: the value is not valid YAML; quote it: {key}='...'") from None
    *parents, last = key.split(".")
    node: Any = raw
    for part in parents:
        node = _step_into(node, part, override)
    if isinstance(node, list):
        node[_index(node, last, override)] = value
    else:
        node[last] = value


def _step_into(node: Any, part: str, override: str) -> Any:
    if isinstance(node, list):
        return node[_index(node, part, override)]
    child = node.setdefault(part, {})
    if child is None:
        child = node[part] = {}
    if not isinstance(child, dict | list):
        raise ConfigError(f"override {override!r}: {part!r} holds a value, not keys")
    return child


def _index(node: list[Any], part: str, override: str) -> int:
    if part.isdigit() and int(part) < len(node):
        return int(part)
    raise ConfigError(f"override {override!r}: {part!r} is not one of the positions 0 to {len(node) - 1}")


def _explain(error: Any) -> str:
    location, message = error["loc"], error["msg"].removeprefix("Value error, ")
    dotted = ".".join(str(part) for part in location) or "(top level)"
    if not location:
        return str(message)
    if error["type"] != "extra_forbidden":
        if error["type"] == "missing":
            return f"{dotted}: missing"
        # A check of a whole section names what it is about; the section itself would bury that.
        return f"{dotted}: {message}" + ("" if isinstance(error["input"], dict) else f" (got {error['input']!r})")
    known = list(_section_at(location[:-1]).model_fields)
    near = difflib.get_close_matches(str(location[-1]), known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(known)}"
    return f"{dotted}: unknown key; {hint}"


def _section_at(location: Sequence[str | int]) -> type[BaseModel]:
    """The section that a pydantic error location lies in; union tags in it choose the member."""
    section: type[BaseModel] = RunConfig
    candidates: list[type[BaseModel]] = []
    for part in location:
        tagged = [c for c in candidates if "type" in c.model_fields and c.model_fields["type"].default == part]
        if tagged:
            section, candidates = tagged[0], []
        elif part in section.model_fields:
            candidates = _sections_in(section.model_fields[str(part)].annotation)
            section = candidates[0] if candidates else section
    return section


def _sections_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [section for arg in get_args(annotation) for section in _sections_in(arg)]
