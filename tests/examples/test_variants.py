"""Mixes of an arm: what the trial run is made of, which one is the best, and what the card says of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made_up_run import count_words, make_config, make_graded

from lema_ray.config import ConfigError, RunConfig, parse_config
from lema_ray.evaluation.scores import score_run
from lema_ray.examples import build_examples
from lema_ray.examples.variants import trial_config, with_mix, write_held_out
from lema_ray.on_ray.flow import Flow
from lema_ray.on_ray.variants import best_mix
from lema_ray.records import Attempt, Grade, GradedAttempt, GradedQuestion, Question, TrainingExample
from lema_ray.runs import RunFolder

MIXED = {"rows": ["cot", "corrections"], "match": "cot"}
MIXES = {"few": MIXED | {"corrections_share": 0.1}, "many": MIXED | {"corrections_share": 0.4}}


def config_with(**variants: Any) -> RunConfig:
    made = make_config(dev_fraction=0.3, arms={"cot": {"rows": ["cot"]}, "lema": MIXED | {"corrections_share": 0.2}})
    return parse_config(made.model_dump(mode="json") | {"variants": {"mixes": MIXES, "steps": 7} | variants})


def test_the_trial_builds_the_mixes_from_the_runs_questions_and_examines_on_those_held_out(
    collected: Callable[..., RunFolder],
) -> None:
    run, config = collected(make_graded(n) for n in range(60)), config_with(seeds=[3, 4])
    trial, held = trial_config(config), collected([])
    assert [*trial.build.arms] == ["cot", "few", "many"] and trial.train.trainer["max_steps"] == 7
    assert (trial.name, trial.train.seeds, trial.variants) == ("made-up-variants", (3, 4), None)
    counts = write_held_out(config, run, held)
    card = build_examples(trial, held, count_words, collected=run)
    asked = {question.id for question in held.read_records(Question, "questions", "test.parquet")}
    taught = {
        row.question_id
        for arm in trial.build.arms
        for row in held.read_records(TrainingExample, "examples", arm, "train.parquet")
    }
    assert 5 < counts["test"]["questions"] == len(asked) < 40 and taught and not asked & taught
    few, many = (card["arms"][mix]["train"]["rows_by_kind"]["corrections"] for mix in MIXES)
    assert 0 < 2 * few < many
    assert not run.exists("examples")


def answers(rights: str) -> list[GradedQuestion]:
    return [
        GradedQuestion(
            Question(f"q{i}", f"q{i}", "1", "t"),
            (GradedAttempt(Attempt(f"a{i}", "1", "m"), Grade("right" if mark == "+" else "wrong", "1")),),
        )
        for i, mark in enumerate(rights)
    ]


def test_the_best_mix_is_built_and_the_card_says_how_sure_that_is(collected: Callable[..., RunFolder]) -> None:
    run, config, trial = collected(make_graded(n) for n in range(60)), config_with(), collected([])
    for model, rights in {"base": "--------", "cot": "++++++++", "few": "++++----", "many": "+++++++-"}.items():
        trial.write_records(answers(rights), GradedQuestion, "evaluations", f"{model}--greedy.parquet")
    found = best_mix([*MIXES], *score_run(trial, ["base", "cot", "few", "many"], ["greedy"]))
    assert (found["best"], found["against_next"]["mix"]) == ("many", "few")
    assert found["against_next"]["difference"] == 0.375 and found["against_next"]["low"] < 0.375
    turned = best_mix([*MIXES], *score_run(trial, ["base", "many", "few"], ["greedy"]))
    assert turned["against_next"]["difference"] == 0.375 and turned["against_next"]["low"] <= 0.375
    built = with_mix(config, found["best"])
    tried = {"arm": "lema", "steps": 7, "trial": trial.root, **found}
    card = build_examples(built, run, count_words, variants=tried)
    kinds = card["arms"]["lema"]["train"]["rows_by_kind"]
    assert kinds["corrections"] / sum(kinds.values()) == pytest.approx(0.4, abs=0.02)
    assert card["variants"]["best"] == "many"
    text = run.read_text("examples", "card.md")
    assert "Arm `lema` is the mix `many`" in text and "| **many** | 87.5 % |" in text
    assert "Against `few` +37.5 points" in text and "by 8 held-out training questions" in text


class Walked(Flow):
    """A flow whose training and examination cost nothing: `many` is right most often. `trained` counts trainings."""

    trained = 0
    dies = False

    def train(self) -> dict[str, Any]:
        type(self).trained += self.run.stage("train") is None
        return self.stage("train", lambda: {"arms": {}})

    def evaluate(self) -> dict[str, Any]:
        def work() -> dict[str, Any]:
            if self.dies:
                raise KeyboardInterrupt
            for model, rights in {"base": "----", "cot": "++++", "few": "+---", "many": "+++-"}.items():
                self.run.write_records(answers(rights), GradedQuestion, "evaluations", f"{model}--greedy.parquet")
            score_run(self.run, ["base", *self.config.trained], ["greedy"])
            return {}

        return self.stage("evaluate", work)


def test_the_trial_is_walked_and_goes_on_where_it_was_killed(tmp_path: Path, tiny_model: Path) -> None:
    told = config_with().model_dump(mode="json") | {"runs_dir": str(tmp_path), "train": {"base": str(tiny_model)}}
    flow = Walked(parse_config(told))
    flow.run.write_records([make_graded(n) for n in range(40)], GradedQuestion, "collected", "part.parquet")
    flow.run.record_stage("collect", 1.0, {"rows": 40})
    Walked.dies = True
    with pytest.raises(KeyboardInterrupt):
        flow.build(variants=True)
    trial = RunFolder(str(tmp_path / "made-up-variants"))
    assert [*trial.manifest["stages"]] == ["questions", "collect", "build", "train"]
    assert flow.run.stage("build") is None
    Walked.dies = False
    flow.build(variants=True)
    assert Walked.trained == 1 and f"Collected in {flow.run.root}, whose" in trial.read_text("report.html")
    assert flow.run.read_json("examples", "card.json")["variants"]["best"] == "many"
    assert [*flow.config.trained] == ["cot", "lema"]


@pytest.mark.parametrize(
    ("variants", "build", "complaint"),
    [
        ({"arm": "rise"}, {}, "'rise' is not one of cot, lema"),
        ({"mixes": {"cot": MIXED, "b": MIXED}}, {}, "cot is the name of an arm already"),
        ({}, {"dev_fraction": 0}, "no question is held out"),
    ],
)
def test_variants_that_cannot_be_tried_are_refused(
    variants: dict[str, Any], build: dict[str, Any], complaint: str
) -> None:
    config = config_with(**variants)
    config = config.model_copy(update={"build": config.build.model_copy(update=build)})
    with pytest.raises(ConfigError, match=complaint):
        trial_config(config)


def test_without_mixes_there_is_nothing_to_try() -> None:
    with pytest.raises(ConfigError, match="name some mixes"):
        trial_config(make_config())
