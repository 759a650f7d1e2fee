"""What can be learned from one question, before anything is left out.

Called by `candidates`. A unit is one solution, correction or revision with the rows that it teaches; a correction
teaches other rows to each field ablation, and all of them are kept or dropped together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from lema_ray.attempts import question_text
from lema_ray.config import ArmConfig, RowSource, RunConfig
from lema_ray.examples.cot import cot_examples, revision_example
from lema_ray.recipes import Recipe, open_recipe
from lema_ray.records import Correction, GradedQuestion, TrainingExample


@dataclass(frozen=True, slots=True)
class Unit:
    """`group` is what arms choose from; `text` is what near copies are judged by; `made` and `by` are its lineage."""

    id: str
    kind: RowSource
    text: str
    made: str
    by: str
    rows: tuple[tuple[str, TrainingExample], ...]


def group_of(source: RowSource, arm: ArmConfig) -> str:
    """The group of candidates that an arm takes a kind of rows from: by method, and by ablation of its parts."""
    if source == "cot":
        return source
    method = f"{source} {arm.recipe}" if arm.recipe else source
    return f"{method}:{','.join(arm.parts)}" if source == "corrections" and arm.parts is not None else method


def correction_recipes(config: RunConfig) -> dict[str, Recipe]:
    """One recipe for each group of corrections that some arm takes. Raises the recipe's own error on unknown parts."""
    arms = [arm for arm in config.build.arms.values() if "corrections" in arm.rows]
    return {group_of("corrections", arm): _recipe(config, arm) for arm in arms}


def _recipe(config: RunConfig, arm: ArmConfig) -> Recipe:
    parts = {} if arm.parts is None else {"parts": list(arm.parts)}
    method = next(recipe for recipe in config.recipes if recipe.name == _method(config, arm))
    return open_recipe(method.model_copy(update={"options": method.options | parts}))


def _method(config: RunConfig, arm: ArmConfig) -> str:
    return arm.recipe or config.recipe.name


def units_of(graded: GradedQuestion, config: RunConfig, recipes: Mapping[str, Recipe]) -> Iterator[Unit]:
    """The units of one question that some arm needs, in the order of a fixed seed."""
    arms = config.build.arms.values()
    revised = {group_of("revisions", arm): _method(config, arm) for arm in arms if "revisions" in arm.rows}
    asked = question_text(graded.question)
    if any("cot" in arm.rows for arm in arms):
        for source, row in cot_examples(graded, config.build, config.seed):
            by = graded.question.source if source == "solution" else _model(graded, row.attempt_id)
            yield Unit(row.id, "cot", f"{asked}\n{row.target_text}", source, by, (("cot", row),))
    for correction in graded.corrections:
        made_by = {group: recipe for group, recipe in recipes.items() if recipe.name == correction.recipe}
        if made_by:
            yield _correction_unit(graded, correction, asked, made_by)
        groups = [group for group, method in revised.items() if method == correction.recipe]
        if groups:
            row = revision_example(graded.question, correction)
            text, rows = f"{asked}\n{correction.revision}", tuple((group, row) for group in groups)
            yield Unit(row.id, "revisions", text, "revision", correction.model, rows)


def _correction_unit(graded: GradedQuestion, correction: Correction, asked: str, recipes: Mapping[str, Recipe]) -> Unit:
    rows = [(group, row) for group, recipe in recipes.items() for row in recipe.to_examples(graded, correction)]
    mistake = next((g.attempt.text for g in graded.attempts if g.attempt.id == correction.attempt_id), "")
    text = "\n".join((asked, mistake, correction.explanation, correction.revision))
    return Unit(correction.id, "corrections", text, correction.recipe, correction.model, tuple(rows))


def _model(graded: GradedQuestion, attempt_id: str | None) -> str:
    return next((g.attempt.model for g in graded.attempts if g.attempt.id == attempt_id), "")
