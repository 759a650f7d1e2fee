"""docs/recipes.md as it stands: its package is installed on a path, tested, planned with; and what broken ones say."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from test_every_recipe import Teacher, check_rows, questions

from lema_ray.config import ConfigError, RecipeConfig, parse_config
from lema_ray.planning.estimate import dry_run
from lema_ray.recipes import open_recipe
from lema_ray.records import GradedQuestion

REPOSITORY = Path(__file__).parents[2]
Install = Callable[..., Path]


def files_of_the_page() -> dict[str, str]:
    page = (REPOSITORY / "docs" / "recipes.md").read_text()
    return {name: text for name, text in re.findall(r"^```\w+ (\S+)\n(.*?)^```$", page, re.M | re.S)}


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Puts a package with one module on the path, as an installer would leave it."""

    def put(package: str, recipe: str, target: str, **modules: str) -> Path:
        folder = tmp_path / package
        info = folder / f"{package.replace('-', '_')}-0.1.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 0.1\n")
        (info / "entry_points.txt").write_text(f"[lema_ray.recipes]\n{recipe} = {target}\n")
        for name, text in modules.items():
            (folder / f"{name}.py").write_text(text)
            monkeypatch.delitem(sys.modules, name, raising=False)
        monkeypatch.syspath_prepend(str(folder))
        importlib.invalidate_caches()
        return folder

    return put


@pytest.fixture
def page(install: Install) -> dict[str, str]:
    """The page's package, installed; the page's files."""
    files = files_of_the_page()
    project = tomllib.loads(files["pyproject.toml"])["project"]
    ((recipe, target),) = project["entry-points"]["lema_ray.recipes"].items()
    install(project["name"], recipe, target, second_try=files["second_try.py"])
    return files


async def test_the_page_s_recipe_keeps_what_every_recipe_promises(page: dict[str, str]) -> None:
    recipe, teacher, requests = open_recipe(RecipeConfig(name="second_try")), Teacher(), 0
    assert len(page["second_try.py"].splitlines()) < 100
    for row in questions(10):
        outcome = await recipe.correct(row, teacher, None)
        assert outcome.corrections and outcome == await recipe.correct(row, Teacher(), None)
        requests += sum(paid.requests for paid in (*outcome.corrections, *outcome.drops))
        whole = GradedQuestion(row.question, row.attempts, outcome.corrections, outcome.drops)
        for correction in outcome.corrections:
            check_rows(recipe.to_examples(whole, correction), whole, correction.id)
    assert requests == teacher.requests > 10


def test_the_page_s_own_test_passes(page: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "test_second_try.py").write_text(page["test_second_try.py"])
    paths = os.pathsep.join([str(REPOSITORY), *(p for p in sys.path if p.startswith(str(tmp_path)))])
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_second_try.py"]
    done = subprocess.run(
        command, cwd=tmp_path, env=os.environ | {"PYTHONPATH": paths}, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0 and "2 passed" in done.stdout, done.stdout + done.stderr


def test_the_page_s_config_can_be_planned(page: dict[str, str]) -> None:
    plan = dry_run(parse_config(yaml.safe_load(page["run.yaml"])))
    assert "corrections second_try" in plan and "Solve it again from the beginning." in plan


GOOD = "class Good:\n    name = 'taken'\n    correct = to_examples = preview = most_requests = lambda *_: None\n"
GOOD += "    def __init__(self, config): pass\n"


def test_a_name_that_is_taken_is_refused_with_both_owners(install: Install) -> None:
    install("shadow", "lema", "shadow:Good", shadow=GOOD)
    with pytest.raises(ConfigError, match=r"'lema' is registered by lema_ray itself and by shadow 0.1 \(shadow:Good\)"):
        open_recipe(RecipeConfig(name="lema"))
    install("one", "taken", "one:Good", one=GOOD)
    assert open_recipe(RecipeConfig(name="taken")).name == "taken"
    install("two", "taken", "two:Good", two=GOOD)
    with pytest.raises(ConfigError, match=r"one 0.1 \(one:Good\) and by two 0.1 \(two:Good\); rename or uninstall one"):
        open_recipe(RecipeConfig(name="taken"))


@pytest.mark.parametrize(
    "module, says",
    [
        ("import a_module_that_is_not_there", r"cannot be loaded: ModuleNotFoundError"),
        ("Other = 1", r"cannot be loaded: AttributeError"),
        ("def Good(config): raise ValueError('no')", r"cannot be opened: ValueError: no"),
        ("def Good(config): return object()", r"is no recipe: it has no correct, to_examples, preview, most_requests"),
        (GOOD, r"is no recipe: its name is 'taken'"),
    ],
)
def test_a_broken_package_is_named_and_harms_no_other(install: Install, module: str, says: str) -> None:
    install("broken", "mine", "broken:Good", broken=module)
    with pytest.raises(ConfigError, match=r"recipe 'mine' of broken 0.1 \(broken:Good\) " + says):
        open_recipe(RecipeConfig(name="mine"))
    assert open_recipe(RecipeConfig(name="lema")).name == "lema"
    with pytest.raises(ConfigError, match="did you mean 'mine'"):
        open_recipe(RecipeConfig(name="mina"))
