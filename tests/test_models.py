"""Model names and directories: what passes, what is refused and how, and that a model is made once."""

import json
import multiprocessing
import time
from pathlib import Path

import pytest

from lema_ray.models import ModelError, cached_model, check_model, context_length, resolve_model


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_text(json.dumps({"max_position_embeddings": 2048}))
    for name in ("model.safetensors", "tokenizer.json", "chat_template.jinja"):
        (tmp_path / name).write_text("")
    return tmp_path


def test_a_complete_directory_passes_and_says_its_context(model: Path) -> None:
    check_model(str(model))
    assert resolve_model(str(model)) == str(model)
    assert context_length(str(model)) == 2048
    (model / "config.json").write_text(json.dumps({"text_config": {"max_position_embeddings": 77}}))
    assert context_length(str(model)) == 77


def test_the_template_may_be_in_the_tokenizer_config(model: Path) -> None:
    (model / "chat_template.jinja").unlink()
    (model / "tokenizer_config.json").write_text(json.dumps({"chat_template": "{{ messages }}"}))
    check_model(str(model))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("config.json", "no config.json"),
        ("model.safetensors", "no weights"),
        ("tokenizer.json", "no tokenizer"),
        ("chat_template.jinja", "no chat template"),
    ],
)
def test_a_missing_part_is_named(model: Path, name: str, message: str) -> None:
    (model / name).unlink()
    with pytest.raises(ModelError, match=message):
        check_model(str(model))


def test_broken_config_and_wrong_paths_are_named(model: Path) -> None:
    (model / "config.json").write_text("{")
    with pytest.raises(ModelError, match=r"config\.json: not valid JSON"):
        check_model(str(model))
    with pytest.raises(ModelError, match="no such model directory"):
        check_model(str(model / "nowhere"))
    with pytest.raises(ModelError, match="no such built-in model; there are demo/word-problems"):
        resolve_model("demo/word-problem")


def test_a_hub_id_passes_through_unseen() -> None:
    assert resolve_model("some-lab/some-model") == "some-lab/some-model"
    check_model("some-lab/some-model")
    assert context_length("some-lab/some-model") is None


def _make_slowly(folder: Path) -> None:
    with open(folder.parent / "calls", "a") as calls:
        calls.write("x")
    time.sleep(0.3)
    (folder / "done").write_text("")


def test_processes_that_ask_at_once_make_it_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEMA_CACHE", str(tmp_path))
    with multiprocessing.get_context("fork").Pool(3) as pool:
        folders = set(pool.starmap(cached_model, [("key", _make_slowly)] * 3))
    assert folders == {str(tmp_path / "models" / "key")}
    assert (tmp_path / "models" / "key" / "done").exists()
    assert (tmp_path / "models" / "calls").read_text() == "x"


def test_a_model_that_failed_halfway_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEMA_CACHE", str(tmp_path))

    def fail(folder: Path) -> None:
        (folder / "half").write_text("")
        raise RuntimeError("stopped")

    with pytest.raises(RuntimeError):
        cached_model("key", fail)
    folder = Path(cached_model("key", lambda f: (f / "whole").touch()))
    assert [p.name for p in folder.iterdir()] == ["whole"]
