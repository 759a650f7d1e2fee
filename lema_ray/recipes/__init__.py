"""Recipes: one file per method, each turning the mistakes of one question into corrections and training examples.

Adding a method is one file, one line in `RECIPES` and one config; another package adds one by an entry point
(`plugins`, docs/recipes.md). `corrections` calls `correct`, `examples` calls `to_examples`.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable

from lema_ray.config import ConfigError, RecipeConfig
from lema_ray.recipes.critique import CritiqueRecipe
from lema_ray.recipes.lema import Lema
from lema_ray.recipes.lemma import Lemma
from lema_ray.recipes.plugins import open_plugin, registered
from lema_ray.recipes.recipe import AsksStudent, Outcome, Recipe, takes
from lema_ray.recipes.rise import Rise
from lema_ray.recipes.s3c import S3c
from lema_ray.recipes.score import Score
from lema_ray.recipes.solver_verifier import SolverVerifier

__all__ = ["RECIPES", "AsksStudent", "Outcome", "Recipe", "open_recipe", "takes"]

RECIPES: dict[str, Callable[[RecipeConfig], Recipe]] = {
    "lema": Lema,
    "lemma": Lemma,
    "rise": Rise,
    "s3c": S3c,
    "critique": CritiqueRecipe,
    "score": Score,
    "solver_verifier": SolverVerifier,
}


def open_recipe(config: RecipeConfig) -> Recipe:
    """The recipe that a config names, with its settings, from here or from another package.

    Raises `ConfigError` with the recipes there are, or what is wrong with the other package's.
    """
    others = registered()
    if points := others.get(config.name):
        return open_plugin(points, config, built_in=config.name in RECIPES)
    if config.name in RECIPES:
        return RECIPES[config.name](config)
    known = [*RECIPES, *others]
    near = difflib.get_close_matches(config.name, known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
    raise ConfigError(f"recipe.name: no recipe {config.name!r}; {hint}")
