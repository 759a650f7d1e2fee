"""A config that changed: what may change at any time, what is refused, and what is done again when told so."""

from pathlib import Path

import pytest
import yaml

from lema_ray.changed_config import FOLDERS, READ_BY, STAGES, differences, touched_stages
from lema_ray.config import ConfigError, RunConfig, parse_config
from lema_ray.runs import open_run


def config(tmp_path: Path, **changes: object) -> RunConfig:
    student = {"engine": {"type": "scripted"}, "samples": 2}
    raw = {
        "name": "one",
        "runs_dir": str(tmp_path),
        "questions": {"train": {"source": "word_problems", "count": 9}},
        "students": [student],
        "corrector": {"engine": {"type": "openai", "model": "m"}},
    }
    return parse_config(raw | changes)


def test_every_section_of_a_config_is_read_by_a_stage_or_says_only_how() -> None:
    harmless = {"name", "runs_dir", "budget", "ray", "rounds"}
    assert set(RunConfig.model_fields) - harmless <= READ_BY.keys() and set(FOLDERS) == set(STAGES)


@pytest.mark.parametrize(
    ("changes", "stages"),
    [
        ({"seed": 1}, STAGES),
        ({"recipe": {"tries": 3}}, STAGES[1:]),
        ({"students": [{"engine": {"type": "scripted"}, "samples": 3}]}, STAGES[1:]),
        ({"build": {"cot_per_question": 1}}, STAGES[2:]),
        ({"train": {"workers": 2}}, STAGES[3:]),
        ({"verifier": {"epochs": 1}}, STAGES[4:]),
        ({"evaluate": {"few_shot": 1}}, STAGES[5:]),
    ],
)
def test_a_change_touches_the_stage_that_reads_it_and_what_follows(
    tmp_path: Path, changes: dict[str, object], stages: tuple[str, ...]
) -> None:
    was, now = (c.model_dump(mode="json") for c in (config(tmp_path), config(tmp_path, **changes)))
    found = list(differences(was, now))
    assert all(d.matters for d in found) and touched_stages(found) == stages


@pytest.mark.parametrize(
    "changes",
    [
        {"budget": {"money": 3.0}},
        {"ray": {"num_cpus": 8}},
        {"corrector": {"engine": {"type": "openai", "model": "m", "base_url": "http://other/v1", "concurrency": 3}}},
        {"corrector": {"engine": {"type": "openai", "model": "m", "limits": {"requests_per_minute": 9}}}},
        {"students": [{"engine": {"type": "scripted"}, "samples": 2, "actors": {"max": 4}}]},
        {"evaluate": {"reuse": ["elsewhere"]}},
    ],
)
def test_how_a_run_works_may_change_at_any_time(tmp_path: Path, changes: dict[str, object]) -> None:
    open_run(config(tmp_path))
    run = open_run(config(tmp_path, **changes))
    assert not run.exists("superseded")
    assert yaml.safe_load(run.read_text("config.yaml")) == config(tmp_path, **changes).model_dump(mode="json")


def test_a_run_folder_that_was_moved_goes_on(tmp_path: Path) -> None:
    open_run(config(tmp_path / "here"))
    (tmp_path / "here").rename(tmp_path / "there")
    assert open_run(config(tmp_path / "there")).read_text("config.yaml").count("/there") == 1


def test_what_a_changed_config_touches_is_refused_by_name_and_kept_when_it_is_done_again(tmp_path: Path) -> None:
    run = open_run(config(tmp_path))
    run.write_json({"stages": {stage: {"seconds": 1} for stage in STAGES}}, "manifest.json")
    for folder in ("questions", "collected", "examples", "models", "paid"):
        run.write_text(folder, folder, "deep", "file")
    changed = config(tmp_path, build={"cot_per_question": 1})
    with pytest.raises(ConfigError, match=r"build\.cot_per_question: was 2, is 1(.|\n)*--redo-changed to do build"):
        open_run(changed)
    again = open_run(changed, redo_changed=True)
    assert list(again.manifest["stages"]) == ["questions", "collect"]
    assert again.files("superseded") == ["1/config.yaml", "1/examples/deep/file", "1/models/deep/file"]
    assert [again.exists(folder) for folder in ("questions", "collected", "examples", "paid")] == [1, 1, 0, 1]
    open_run(config(tmp_path), redo_changed=True)
    assert again.files("superseded", suffix="config.yaml") == ["1/config.yaml", "2/config.yaml"]


def test_a_setting_that_came_after_the_run_is_no_change(tmp_path: Path) -> None:
    run = open_run(config(tmp_path))
    older = yaml.safe_load(run.read_text("config.yaml"))
    del older["evaluate"], older["train"]["workers"], older["recipe"]["tries"]
    run.write_text(yaml.safe_dump(older), "config.yaml")
    assert open_run(config(tmp_path)).root == run.root
