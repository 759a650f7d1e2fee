"""Arms of several methods from one run: each takes its own corrections, and ablations share one collection."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_up_run import count_words, make_config, make_graded

from lema_ray.config import ConfigError, RunConfig, load_config, parse_config
from lema_ray.examples import build_examples
from lema_ray.records import Correction, GradedQuestion, TrainingExample
from lema_ray.runs import RunFolder

PARTS = ["fix", "fresh", "sampled", "truncation", "learn_wrong_step"]


def with_lemma(graded: GradedQuestion) -> GradedQuestion:
    """LeMa's corrections, and LEMMA's of the same mistakes."""
    made = [
        Correction(
            f"{c.id}{strategy}", "lemma", c.attempt_id, "Wait.", c.revision, c.wrong_step, strategy=strategy,
            fields={"doubt": f"Wait, I {strategy} it. {c.explanation}", "rest": c.revision},
        )
        for c in graded.corrections for strategy in ("fix", "fresh")
    ]  # fmt: skip
    return GradedQuestion(graded.question, graded.attempts, (*graded.corrections, *made))


def built(folder: Path, arms: dict) -> tuple[RunFolder, dict]:
    run = RunFolder(str(folder))
    rows = [with_lemma(make_graded(n)) for n in range(40)]
    run.write_records(rows, GradedQuestion, "collected", "part-0.parquet")
    raw = make_config(near_duplicates=None).model_dump(mode="json")
    raw["build"]["arms"] = arms
    config = parse_config(raw | {"more_recipes": [{"name": "lemma"}]})
    return run, build_examples(config, run, count_words)


def test_each_arm_takes_the_corrections_of_its_method(tmp_path: Path) -> None:
    arms = {
        "lema": {"rows": ["cot", "corrections"]},
        "lemma": {"rows": ["cot", "corrections"], "recipe": "lemma"},
        "no-fix": {"rows": ["corrections"], "recipe": "lemma", "parts": [p for p in PARTS if p != "fix"]},
        "revised": {"rows": ["revisions"], "recipe": "lemma"},
    }
    run, card = built(tmp_path, arms)
    rows = {arm: list(run.read_records(TrainingExample, "examples", arm, "train.parquet")) for arm in arms}
    kinds = {arm: {row.kind for row in taken} for arm, taken in rows.items()}
    assert kinds == {"lema": {"cot", "lema"}, "lemma": {"cot", "lemma"}, "no-fix": {"lemma"}, "revised": {"cot"}}
    assert card["recipe"] == "lema, lemma"
    counts = {arm: sum(row.kind == "lemma" for row in taken) for arm, taken in rows.items()}
    assert counts["lemma"] == 2 * counts["no-fix"] > 0


def test_the_wrong_step_is_masked_where_an_arm_says_so(tmp_path: Path) -> None:
    arms = {"masked": {"rows": ["corrections"], "recipe": "lemma", "parts": PARTS[:-1]}}
    run, _ = built(tmp_path, arms)
    for row in run.read_records(TrainingExample, "examples", "masked", "train.parquet"):
        hidden = [span.text for span in row.target if not span.learn]
        assert len(hidden) == 1 and hidden[0].startswith("It makes")


def test_methods_have_names_of_their_own_and_arms_name_known_ones() -> None:
    raw = make_config().model_dump(mode="json")
    with pytest.raises(ConfigError, match="each method once"):
        parse_config(raw | {"more_recipes": [{"name": "lema"}]})
    with pytest.raises(ConfigError, match="recipe lemma is not one of lema"):
        parse_config(raw | {"build": {"arms": {"a": {"recipe": "lemma"}}}})


@pytest.mark.parametrize("name", ["demo", "lemma", "gsm8k", "smollm2"])
def test_the_shipped_configs_are_valid(name: str) -> None:
    config: RunConfig = load_config(Path(__file__).parents[2] / "jobs" / "configs" / f"{name}.yaml")
    from lema_ray.examples.units import correction_recipes
    from lema_ray.recipes import open_recipe

    assert correction_recipes(config) and [open_recipe(r) for r in config.recipes]
