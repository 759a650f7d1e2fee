"""What is said in one line before anything is started."""

from __future__ import annotations

import json
import shutil
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from lema_ray.cli.app import app
from lema_ray.config import ConfigError
from lema_ray.errors import LemaError
from lema_ray.models import ModelError
from lema_ray.records import Question
from lema_ray.runs import RunFolder
from serve.app import build
from serve.asking import with_task
from serve.checks import check_address, model_path
from serve.config import parse_serve_config
from serve.keys import read_keys
from serve.start import applications


@pytest.fixture
def run(tiny_model: Path, tmp_path: Path) -> Path:
    """A run folder with two trained models."""
    for arm in ("one", "two"):
        shutil.copytree(tiny_model, tmp_path / "run" / "models" / arm)
    (tmp_path / "run" / "config.yaml").write_text("{}")
    return tmp_path / "run"


@pytest.mark.parametrize("missing", ["*.safetensors", "tokenizer*", "config.json"])
def test_a_folder_that_is_no_whole_model(tiny_model: Path, tmp_path: Path, missing: str) -> None:
    folder = Path(shutil.copytree(tiny_model, tmp_path / "model"))
    for file in folder.glob(missing):
        file.unlink()
    with pytest.raises(ModelError, match=str(folder)):
        build({"model": str(folder)})


def test_a_folder_without_a_chat_template(tiny_model: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_model, tmp_path / "model"))
    (folder / "chat_template.jinja").unlink(missing_ok=True)
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    settings.pop("chat_template", None)
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    with pytest.raises(ModelError, match="no chat template"):
        build({"model": str(folder)})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"self_correction": {"default": "guess"}}, "self_correction.default.policy: Input should be 'off'"),
        ({"self_correction.allowed": "[off, guess]"}, "self_correction.allowed.1"),
        ({"self_correction": {"default": "vote", "allowed": ["off"]}}, "'vote' is not in allowed"),
        ({"capz": {}}, "capz: unknown key"),
        ({"caps.messages": "many"}, "caps.messages"),
        ({"engine": {"model": "x"}}, "model cannot be set here"),
        ({"engine": {"max_num_seq": 3}}, "engine"),
        ({"adapters": {"a": "/nowhere"}}, "adapters.a: /nowhere is not an adapter directory"),
        ({"keys": "/nowhere/keys.yaml"}, "no such keys file"),
        ({"autoscaling": {"min_replicas": 3, "max_replicas": 2}}, "max_replicas is below min_replicas"),
        ({"arm": "one"}, "of a run folder"),
    ],
)
def test_a_config_that_cannot_be_served(tiny_model: Path, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(LemaError, match=message.replace("[", "\\[")):
        build({"model": str(tiny_model), **arguments})


def test_the_arm_of_a_run(run: Path) -> None:
    with pytest.raises(ConfigError, match="which arm is to be served; there are one, two"):
        build({"model": str(run)})
    with pytest.raises(ConfigError, match="no arm 'three'; there are one, two"):
        build({"model": str(run), "arm": "three"})
    assert model_path(parse_serve_config({"model": str(run), "arm": "two"})) == str(run / "models" / "two")
    shutil.rmtree(run / "models" / "two")
    assert model_path(parse_serve_config({"model": str(run)})) == str(run / "models" / "one")


def test_several_models_know_each_other(run: Path) -> None:
    found = applications([str(run)], ["one", "two"], {"replicas": 1}, ["caps.messages=5"])
    assert list(found) == ["/", "/two"]
    assert found["/"]["siblings"] == {"two": "/two"} and found["/two"]["siblings"] == {"one": "/"}
    assert parse_serve_config(found["/two"]).caps.messages == 5
    with pytest.raises(ConfigError, match="two models have one name"):
        applications([str(run)], ["one", "one"], {}, [])


def test_an_address_for_others_needs_keys_and_a_free_port() -> None:
    with pytest.raises(ConfigError, match=r"0\.0\.0\.0 is open to other machines: give --api-keys"):
        check_address("0.0.0.0", 8000, with_keys=False)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ConfigError, match=r"127\.0\.0\.1:\d+ cannot be listened on"):
            check_address("127.0.0.1", taken.getsockname()[1], with_keys=False)


@pytest.mark.parametrize(
    "arguments", [["/nowhere"], ["{model}", "--host", "0.0.0.0"], ["{model}", "--policy", "guess"]]
)
def test_a_mistake_starts_nothing(
    tiny_model: Path, arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import ray

    from lema_ray.cli import main

    monkeypatch.setattr("sys.argv", ["lema", "serve", *(a.format(model=tiny_model) for a in arguments)])
    with pytest.raises(SystemExit):
        main()
    assert capsys.readouterr().err.count("error: ") == 1 and not ray.is_initialized()


def test_keys_from_the_command_line(tmp_path: Path) -> None:
    runner, file = CliRunner(), tmp_path / "keys.yaml"
    made = runner.invoke(app, ["keys", "add", "anna", "--file", str(file), "--concurrency", "2"])
    assert made.stdout.startswith("lema-") and made.stdout.strip() not in file.read_text()
    assert read_keys(file)[0].concurrency == 2
    assert runner.invoke(app, ["keys", "list", "--file", str(file)]).stdout.startswith("anna")
    assert runner.invoke(app, ["keys", "revoke", "anna", "--file", str(file)]).exit_code == 0
    assert read_keys(file) == []


def test_the_example_for_serve_deploy_is_one_that_serve_takes() -> None:
    import yaml
    from ray.serve.schema import ServeDeploySchema

    raw = yaml.safe_load((Path(__file__).parents[2] / "serve" / "config.yaml").read_text())
    schema = ServeDeploySchema.model_validate(raw)
    # Serve lets unknown keys pass: all that are there have to be among its own.
    assert raw.keys() <= ServeDeploySchema.model_fields.keys()
    for application in schema.applications:
        assert application.import_path == "serve.app:build"
        parse_serve_config(application.args)


def test_a_trained_model_is_asked_as_its_run_asked(run: Path) -> None:
    def task(**arguments: Any) -> str:
        return with_task(parse_serve_config({"model": str(run), "arm": "one", **arguments})).task

    questions = [Question(str(n), "What is 2 + 3?", "5", "mine", "math") for n in range(3)]
    assert task() == "none", "a run folder without questions"
    RunFolder(str(run)).write_records(questions, Question, "questions", "test.parquet")
    assert task() == task(model=str(run / "models" / "one"), arm=None) == "math"
    assert task(task="none") == "none" and task(task="choice") == "choice"
    mixed = [*questions, replace(questions[0], id="9", task="arithmetic")]
    RunFolder(str(run)).write_records(mixed, Question, "questions", "test.parquet")
    assert task() == "none", "questions of several kinds have no one instruction"
    assert task(model="demo/word-problems", arm=None) == "arithmetic"


def test_an_arm_that_is_an_adapter_alone_names_how_it_is_served(run: Path) -> None:
    (run / "models" / "one" / "config.json").rename(run / "models" / "one" / "adapter_config.json")
    with pytest.raises(ConfigError, match=r"adapter alone: .*lema serve BASE --set adapters\.one=.*/models/one"):
        model_path(parse_serve_config({"model": str(run), "arm": "one"}))
