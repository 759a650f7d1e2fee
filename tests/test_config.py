"""The config: shipped files parse, wrong keys are named with the nearest right one, overrides reach their place."""

from pathlib import Path

import pytest
import yaml

from lema_ray.config import ConfigError, Policy, load_config, parse_config

CONFIGS = sorted((Path(__file__).parents[1] / "jobs" / "configs").glob("*.yaml"))
SMALL = {
    "name": "small",
    "questions": {"train": {"source": "gsm8k"}},
    "students": [{"engine": {"type": "scripted"}}],
    "corrector": {"engine": {"type": "scripted"}},
}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_shipped_configs_parse(path: Path) -> None:
    assert load_config(path).name


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"trian": {}}, "trian: unknown key; did you mean 'train'?"),
        ({"recipe": {"tires": 2}}, "recipe.tires: unknown key; did you mean 'tries'?"),
        ({"students": [{"engine": {"type": "vllm", "model": "m", "dtpye": "x"}}]}, "did you mean 'dtype'?"),
        ({"students": [{"engine": {"type": "vlm"}}]}, "students.0.engine"),
        ({"students": []}, "nobody attempts the questions"),
        ({"build": {"arms": {"a": {"row": []}}}}, "build.arms.a.row: unknown key; did you mean 'rows'?"),
        ({"name": "a/b"}, "name"),
        ({"train": {"seeds": [1, 1]}}, "seeds: each once, got 1, 1"),
        ({"train": {"seeds": [0, 1]}, "build": {"arms": {"a": {}, "a-seed1": {}}}}, "rename it"),
        ({"questions": {}}, "questions.train: missing"),
    ],
)
def test_what_is_wrong_is_named(change: dict, complaint: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse_config(SMALL | change)
    assert complaint in str(error.value)


def test_models_of_further_seeds_are_named_after_their_arm() -> None:
    config = parse_config(SMALL | {"train": {"seeds": [3, 1]}})
    assert [*config.trained] == ["cot", "lema", "cot-seed1", "lema-seed1"]
    assert config.trained["lema-seed1"] == ("lema", 1) and config.trained["cot"].seed == 3
    assert parse_config(SMALL | {"seed": 5}).trained["lema"] == ("lema", 5)


def test_overrides_reach_lists_and_new_sections(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump(SMALL))
    config = load_config(path, ["students.0.samples=7", "train.trainer.learning_rate=1e-5", "ray.num_cpus=3"])
    assert config.students[0].samples == 7
    assert config.train.trainer == {"learning_rate": 1e-5}
    assert config.ray.num_cpus == 3


@pytest.mark.parametrize("override", ["students", "students.5.samples=1", "name.x=1", "name={x} y"])
def test_bad_overrides_are_named(tmp_path: Path, override: str) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump(SMALL))
    with pytest.raises(ConfigError, match="override"):
        load_config(path, [override])


@pytest.mark.parametrize(("text", "complaint"), [("a: [", "not valid YAML"), ("- 1", "expected keys and values")])
def test_broken_files(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=complaint):
        load_config(path)
    with pytest.raises(ConfigError, match="no such file"):
        load_config(tmp_path / "none.yaml")


@pytest.mark.parametrize("written", ["off", "{policy: off}", "'off'"])
def test_off_is_a_policy_and_not_what_yaml_makes_of_it(written: str) -> None:
    assert Policy.model_validate(yaml.safe_load(written)).policy == "off"
