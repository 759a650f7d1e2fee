"""The package as a stranger meets it: light to import, documented commands that exist, self-explaining modules."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lema_ray.cli import app

REPOSITORY = Path(__file__).parents[1]
HEAVY = {"torch", "vllm", "ray", "transformers", "deepspeed", "trl", "datasets", "openai", "sympy", "scipy", "pandas"}
README = (REPOSITORY / "README.md").read_text()


def test_importing_the_package_pulls_in_nothing_heavy() -> None:
    modules = "lema_ray.cli, lema_ray.config, lema_ray.records, lema_ray.recipes, lema_ray.engines, lema_ray.grading"
    code = f"import sys, {modules}; print(*sorted(set(sys.modules) & {HEAVY}))"
    found = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == ""


def test_help_lists_every_command() -> None:
    result = CliRunner().invoke(app, ["--help"])
    assert result.exit_code == 0
    for command in (
        "run",
        "collect",
        "build",
        "train",
        "evaluate",
        "report",
        "questions",
        "doctor",
        "evolve",
        "analyze",
        "score-corrector",
        "train-verifier",
    ):
        assert re.search(rf"^\W*{command}\b", result.output, re.MULTILINE), command


def test_the_commands_of_the_readme_exist() -> None:
    commands = {c.name or c.callback.__name__.replace("_", "-") for c in app.registered_commands}
    assert set(re.findall(r"\blema ([\w-]+)", README)) <= commands
    targets = set(re.findall(r"^([\w-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"^make ([\w-]+)", README, re.MULTILINE)) <= targets
    for path in re.findall(r"(?:jobs|docs|benchmarks)/[\w/.-]+\.\w+", README):
        assert (REPOSITORY / path).exists(), path


def test_the_tree_in_the_readme_is_the_tree() -> None:
    tree = README.split("## The tree")[1].split("##")[0]
    described = set(re.findall(r"[\w]+(?:\.py|/)", tree))
    modules = {p.name for p in (REPOSITORY / "lema_ray").iterdir() if p.suffix == ".py" and p.name != "__init__.py"}
    folders = {f"{p.name}/" for p in (REPOSITORY / "lema_ray").iterdir() if (p / "__init__.py").exists()}
    assert modules | folders <= described, sorted((modules | folders) - described)


@pytest.mark.parametrize("path", sorted((REPOSITORY / "lema_ray").rglob("*.py")), ids=lambda p: p.name)
def test_every_module_says_what_it_is(path: Path) -> None:
    assert path.read_text().lstrip().startswith('"""'), path
