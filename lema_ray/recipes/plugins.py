"""Recipes of other packages: what they register under the entry point group `lema_ray.recipes`. Used by `open_recipe`.

A package is loaded only when its recipe is asked for, so that a broken one harms nobody else.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points

from lema_ray.config import ConfigError, RecipeConfig
from lema_ray.recipes.recipe import Recipe

GROUP = "lema_ray.recipes"
METHODS = ("correct", "to_examples", "preview", "most_requests")


def registered() -> dict[str, list[EntryPoint]]:
    """The entry points of the group by recipe name. The same one twice (a package on two paths) counts once."""
    found: dict[str, list[EntryPoint]] = {}
    for point in sorted(entry_points(group=GROUP), key=lambda p: (p.name, p.value)):
        if all(point.value != other.value for other in found.get(point.name, ())):
            found.setdefault(point.name, []).append(point)
    return found


def open_plugin(points: list[EntryPoint], config: RecipeConfig, built_in: bool) -> Recipe:
    """The recipe that another package registered. Raises `ConfigError` when its name is taken, or it is broken."""
    name = config.name
    if built_in or len(points) > 1:
        owners = [*(["lema_ray itself"] if built_in else []), *map(_owner, points)]
        raise ConfigError(f"recipe.name: {name!r} is registered by {' and by '.join(owners)}; rename or uninstall one")
    try:
        factory: Callable[[RecipeConfig], Recipe] = points[0].load()
    except Exception as error:
        raise ConfigError(f"recipe {name!r} of {_owner(points[0])} cannot be loaded: {_said(error)}") from error
    try:
        recipe = factory(config)
    except ConfigError:
        raise
    except Exception as error:
        raise ConfigError(f"recipe {name!r} of {_owner(points[0])} cannot be opened: {_said(error)}") from error
    missing = [method for method in METHODS if not callable(getattr(recipe, method, None))]
    if missing or getattr(recipe, "name", None) != name:
        lacks = f"it has no {', '.join(missing)}" if missing else f"its name is {getattr(recipe, 'name', None)!r}"
        raise ConfigError(f"recipe {name!r} of {_owner(points[0])} is no recipe: {lacks} (see docs/recipes.md)")
    return recipe


def _owner(point: EntryPoint) -> str:
    package = f"{point.dist.name} {point.dist.version}" if point.dist is not None else "an unknown package"
    return f"{package} ({point.value})"


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
