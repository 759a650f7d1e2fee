"""Recipes: one file per method, each turning the mistakes of one question into corrections and training examples.

Adding a method is one file, one line in `RECIPES` and one config. `corrections` calls `correct`, `examples` calls
`to_examples`.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable

from lema_ray.config import ConfigError, RecipeConfig
from lema_ray.recipes.critique import CritiqueRecipe
from lema_ray.recipes.lema import Lema
from lema_ray.recipes.lemma import Lemma
from lema_ray.recipes.recipe import AsksStudent, Outcome, Recipe
from lema_ray.recipes.rise import Rise
from lema_ray.recipes.s3c import S3c
from lema_ray.recipes.score import Score

__all__ = ["RECIPES", "AsksStudent", "Outcome", "Recipe", "open_recipe"]

RECIPES: dict[str, Callable[[RecipeConfig], Recipe]] = {
    "lema": Lema,
    "lemma": Lemma,
    "rise": Rise,
    "s3c": S3c,
    "critique": CritiqueRecipe,
    "score": Score,
}


def open_recipe(config: RecipeConfig) -> Recipe:
    """The recipe that a config names, with its settings. Raises `ConfigError` with the recipes there are."""
    if config.name in RECIPES:
        return RECIPES[config.name](config)
    near = difflib.get_close_matches(config.name, RECIPES, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(RECIPES)}"
    raise ConfigError(f"recipe.name: no recipe {config.name!r}; {hint}")
