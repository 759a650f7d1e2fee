"""Commands with bad input end in one clear message, an exit code, and no trace; a dry run touches nothing."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

REPOSITORY = Path(__file__).parents[1]


def lema(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lema_ray.cli", *arguments]
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(REPOSITORY), "HOME": str(cwd), "HF_HUB_OFFLINE": "1"}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=120)


@pytest.fixture
def config(tmp_path: Path) -> dict:
    (tmp_path / "train.jsonl").write_text('{"question": "What is 1 + 1?", "answer": "2"}\n')
    return {
        "name": "small",
        "questions": {"train": {"source": "files", "path": "train.jsonl"}},
        "students": [{"engine": {"type": "scripted"}}],
        "corrector": {"engine": {"type": "scripted"}},
    }


def write(folder: Path, config: dict) -> str:
    (folder / "run.yaml").write_text(yaml.safe_dump(config))
    return "run.yaml"


def refused(result: subprocess.CompletedProcess[str]) -> str:
    assert result.returncode != 0
    assert "Traceback" not in result.stderr, result.stderr
    assert "error: " in result.stderr
    return result.stderr


def test_a_dry_run_shows_config_plan_and_prompts_and_makes_nothing(tmp_path: Path, config: dict) -> None:
    result = lema("run", write(tmp_path, config), "--dry-run", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "corrections_per_question: 2" in result.stdout
    assert "questions: 1" in result.stdout and "first prompt to the corrector" in result.stdout
    assert "What is 1 + 1?" in result.stdout
    assert not (tmp_path / "runs").exists()


def test_a_dry_run_shows_every_method_and_its_largest_number_of_requests(tmp_path: Path, config: dict) -> None:
    options = {"inject": 2, "smoother": "none"}
    config |= {"recipe": {"name": "lemma", "options": options}, "more_recipes": [{"name": "lema"}]}
    result = lema("run", write(tmp_path, config), "--dry-run", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    # Two mistakes, each analysed and corrected twice; two made on purpose, each written, analysed and corrected twice.
    assert "corrections lemma" in result.stdout and "0 - 14" in result.stdout
    assert "corrections lema " in result.stdout and "Incorrect Step" in result.stdout


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"recipe": {"name": "lemma2"}}, "lemma2"),
        ({"recipe": {"name": "lemma", "options": {"smooth": True}}}, "recipe.options.smooth"),
        ({"recipe": {"name": "lemma", "analysis": {"taxonomy": "mine.yaml"}}}, "mine.yaml"),
        ({"students": [{"engine": {"type": "vlm"}}]}, "engine"),
        ({"questions": {"train": {"source": "files", "path": "none.jsonl"}}}, "none.jsonl"),
        ({"questions": {"train": {"source": "files", "path": "bad.jsonl"}}}, "line 2"),
        ({"questions": {"train": {"source": "files", "path": "train.jsonl", "fields": {"question": "q"}}}}, "answer"),
        ({"students": [{"engine": {"type": "vllm", "model": "./no-such-model"}}]}, "no such model directory"),
        (
            {"corrector": {"engine": {"type": "openai", "model": "m", "base_url": "http://127.0.0.1:9/v1"}}},
            "127.0.0.1:9",
        ),
    ],
    ids=["recipe", "option", "taxonomy", "engine", "file", "line", "field", "model", "endpoint"],
)
def test_bad_input_is_named_before_any_sampling(tmp_path: Path, config: dict, change: dict, complaint: str) -> None:
    (tmp_path / "bad.jsonl").write_text('{"question": "a", "answer": "1"}\n{"question": \n')
    message = refused(lema("collect", write(tmp_path, config | change), cwd=tmp_path))
    assert complaint in message
    assert not list((tmp_path / "runs").rglob("collected/*"))


def test_a_run_folder_of_another_config_is_refused_with_what_differs(tmp_path: Path, config: dict) -> None:
    path = write(tmp_path, config | {"recipe": {"name": "lema", "tries": 2}})
    lema("build", path, cwd=tmp_path)
    message = refused(lema("build", path, "recipe.tries=3", cwd=tmp_path))
    assert "recipe.tries: was 2, is 3" in message


def test_a_stage_asks_for_the_one_before_it(tmp_path: Path, config: dict) -> None:
    assert "lema collect" in refused(lema("build", write(tmp_path, config), cwd=tmp_path))


def test_questions_finds_the_reference_that_does_not_grade_right(tmp_path: Path) -> None:
    rows = ['{"question": "a", "answer": "2", "solution": "1+1=2. The answer is 2."}']
    rows += ['{"question": "b", "answer": "5", "solution": "The answer is 4."}']
    (tmp_path / "q.jsonl").write_text("\n".join(rows))
    result = lema("questions", "files", "path=q.jsonl", cwd=tmp_path)
    assert result.returncode == 1
    assert "q.jsonl:2: wrong" in result.stdout and "1 right, 1 wrong" in result.stdout


def test_a_folder_without_a_run_has_no_report(tmp_path: Path) -> None:
    assert "not a run folder" in refused(lema("report", str(tmp_path), cwd=tmp_path))


def test_a_single_stage_takes_a_changed_config_when_told_so(tmp_path: Path, config: dict) -> None:
    assert "no finished collect stage" in refused(lema("build", write(tmp_path, config), cwd=tmp_path))
    changed = write(tmp_path, config | {"build": {"cot_per_question": 1}})
    assert "add --redo-changed to do build" in refused(lema("build", changed, cwd=tmp_path))
    assert "no finished collect stage" in refused(lema("build", changed, "--redo-changed", cwd=tmp_path))
