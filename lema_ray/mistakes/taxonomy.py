"""Error types as data: codes, names, meanings and aliases, shipped (`taxonomies/lemma.yaml`) or a user's own YAML.

`analysis` reads a corrector's labels with it, the `lemma` recipe draws the types that it injects from it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from lema_ray.config import ConfigError

OTHER = "other"
"""The code of every label that the taxonomy does not know."""
OPEN = "open"
"""The taxonomy without types: correctors name mistakes in words of their own, for `open_taxonomy` to sort."""
SHIPPED = Path(__file__).parent / "taxonomies"
KEYS = {"code", "name", "meaning", "aliases", "inject"}


@dataclass(frozen=True, slots=True)
class ErrorType:
    """One kind of mistake. `inject` says whether it can be made on purpose."""

    code: str
    name: str
    meaning: str
    aliases: tuple[str, ...] = ()
    inject: bool = False


@dataclass(frozen=True)
class Taxonomy:
    """Error types in their order. `priors` are shares of types by task, as far as somebody has measured them."""

    name: str
    types: tuple[ErrorType, ...]
    priors: Mapping[str, Mapping[str, float]]

    def __getitem__(self, code: str) -> ErrorType:
        return next(t for t in self.types if t.code == code)

    def read(self, label: str) -> str:
        """The code that a label means, however it is dressed up; `other` when it is none of these types.

        A label that is a whole code, name or alias decides; else the name or alias that it mentions first, and of
        those that begin at one place the longest.
        """
        plain = _plain(label)
        names = {_plain(n): t.code for t in self.types for n in (t.code, t.name, *t.aliases)}
        if plain in names:
            return names[plain]
        mentioned = [
            (match.start(), -len(name), code)
            for name, code in names.items()
            if len(name) > 3 and (match := re.search(rf"\b{re.escape(name)}\b", plain))
        ]
        return min(mentioned)[2] if mentioned else OTHER

    def prior(self, task: str) -> dict[str, float]:
        """The shares of all types for a task, summing to 1; equal where nobody has measured them."""
        known = self.priors.get(task) or dict.fromkeys((t.code for t in self.types), 1.0)
        total = sum(known.values())
        return {t.code: known.get(t.code, 0.0) / total for t in self.types}

    def described(self) -> str:
        """The types as lines of a prompt."""
        return "\n".join(f"- {t.name}: {t.meaning}" for t in self.types)


def to_yaml(taxonomy: Taxonomy) -> str:
    """A taxonomy as a file that `load_taxonomy` reads."""
    types = [
        {"code": t.code, "name": t.name, "meaning": t.meaning, "aliases": list(t.aliases), "inject": t.inject}
        for t in taxonomy.types
    ]
    return yaml.safe_dump({"name": taxonomy.name, "types": types}, sort_keys=False, allow_unicode=True)


def _plain(label: str) -> str:
    return " ".join(re.findall(r"\w+", label.replace("_", " ").casefold()))


@cache
def load_taxonomy(name: str = "lemma") -> Taxonomy:
    """A shipped taxonomy by name, `open`, or a YAML file. Raises `ConfigError` that says what is wrong in it."""
    if name == OPEN:
        return Taxonomy(OPEN, (), {})
    path = SHIPPED / f"{name}.yaml" if re.fullmatch(r"\w+", name) else Path(name)
    try:
        return _taxonomy(yaml.safe_load(path.read_text()), str(path))
    except FileNotFoundError:
        raise ConfigError(f"taxonomy {name!r}: there is no {path}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {error}") from None


def _taxonomy(raw: Any, where: str) -> Taxonomy:
    if not isinstance(raw, dict) or not isinstance(raw.get("types"), list) or not raw["types"]:
        raise ConfigError(f"{where}: expected a list `types`, each with code, name and meaning")
    types = tuple(_error_type(item, f"{where}: types.{i}") for i, item in enumerate(raw["types"]))
    taken: dict[str, str] = {_plain(OTHER): OTHER}
    for one in types:
        for name in {_plain(n) for n in (one.code, one.name, *one.aliases)}:
            if taken.setdefault(name, one.code) != one.code:
                raise ConfigError(f"{where}: {name!r} names both {taken[name]!r} and {one.code!r}")
    return Taxonomy(str(raw.get("name", where)), types, _priors(raw.get("priors") or {}, types, where))


def _error_type(item: Any, where: str) -> ErrorType:
    if not isinstance(item, dict) or not {"code", "name", "meaning"} <= item.keys() <= KEYS:
        raise ConfigError(f"{where}: needs code, name and meaning, and may have aliases and inject")
    texts = (item["code"], item["name"], item["meaning"])
    if not all(isinstance(t, str) and t.strip() for t in texts) or not isinstance(item.get("aliases", []), list):
        raise ConfigError(f"{where}: code, name and meaning are texts (quote NO and YES), aliases a list of texts")
    return ErrorType(*texts, tuple(map(str, item.get("aliases", []))), bool(item.get("inject", False)))


def _priors(raw: Any, types: tuple[ErrorType, ...], where: str) -> dict[str, dict[str, float]]:
    codes = {t.code for t in types}
    for task, shares in raw.items():
        bad = [code for code, share in shares.items() if code not in codes or not isinstance(share, int | float)]
        if bad or sum(shares.values()) <= 0 or min(shares.values()) < 0:
            raise ConfigError(f"{where}: priors.{task}: expected shares by code, of {', '.join(sorted(codes))}")
    return {str(task): dict(shares) for task, shares in raw.items()}
