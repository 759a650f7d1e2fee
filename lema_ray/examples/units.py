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
    """The group of candidates that an arm takes a kind of rows from: a field ablation has its own corrections."""
    ablated = source == "corrections" and arm.parts is not None
    return f"{source}:{','.join(arm.parts or ())}" if ablated else source


def correction_recipes(config: RunConfig) -> dict[str, Recipe]:
    """One recipe for each group of corrections that some arm takes. Raises the recipe's own error on unknown parts."""
    arms = [arm for arm in config.build.arms.values() if "corrections" in arm.rows]
    return {group_of("corrections", arm): _recipe(config, arm) for arm in arms}


def _recipe(config: RunConfig, arm: ArmConfig) -> Recipe:
    parts = {} if arm.parts is None else {"parts": list(arm.parts)}
    return open_recipe(config.recipe.model_copy(update={"options": config.recipe.options | parts}))


def units_of(graded: GradedQuestion, config: RunConfig, recipes: Mapping[str, Recipe]) -> Iterator[Unit]:
    """The units of one question that some arm needs, in the order of a fixed seed."""
    wanted = {source for arm in config.build.arms.values() for source in arm.rows}
    asked = question_text(graded.question)
    if "cot" in wanted:
        for source, row in cot_examples(graded, config.build, config.seed):
            by = graded.question.source if source == "solution" else _model(graded, row.attempt_id)
            yield Unit(row.id, "cot", f"{asked}\n{row.target_text}", source, by, (("cot", row),))
    for correction in graded.corrections:
        if "corrections" in wanted:
            yield _correction_unit(graded, correction, asked, recipes)
        if "revisions" in wanted:
            row = revision_example(graded.question, correction)
            text = f"{asked}\n{correction.revision}"
            yield Unit(row.id, "revisions", text, "revision", correction.model, (("revisions", row),))


def _correction_unit(graded: GradedQuestion, correction: Correction, asked: str, recipes: Mapping[str, Recipe]) -> Unit:
    rows = [(group, row) for group, recipe in recipes.items() for row in recipe.to_examples(graded, correction)]
    mistake = next((g.attempt.text for g in graded.attempts if g.attempt.id == correction.attempt_id), "")
    text = "\n".join((asked, mistake, correction.explanation, correction.revision))
    return Unit(correction.id, "corrections", text, "correction", correction.model, tuple(rows))


def _model(graded: GradedQuestion, attempt_id: str | None) -> str:
    return next((g.attempt.model for g in graded.attempts if g.attempt.id == attempt_id), "")
