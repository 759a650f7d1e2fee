"""The Dockerfile without a container engine: its files are there and suffice, its installation is the tested one."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from dockerfile_parse import DockerfileParser

REPOSITORY = Path(__file__).parents[2]
DOCKERFILE = REPOSITORY / "cluster" / "Dockerfile"


def instructions() -> list[dict[str, Any]]:
    parser = DockerfileParser(fileobj=DOCKERFILE.open("rb"))
    return [i for i in parser.structure if i["instruction"] != "COMMENT"]


def stage(name: str) -> list[tuple[str, str]]:
    """(instruction, value) of a build stage, after those of the stage that it begins from."""
    found: dict[str, list[tuple[str, str]]] = {}
    for one in instructions():
        if one["instruction"] == "FROM":
            parent, _, own = one["value"].split()
            found[own] = list(found.get(parent, []))
            current = found[own]
        current.append((one["instruction"], one["value"]))
    return found[name]


def let_through() -> list[str]:
    """The names that the ignore file lets through to the builder."""
    rules = (REPOSITORY / "cluster" / "Dockerfile.dockerignore").read_text().split("\n")
    return [rule[1:] for rule in rules if rule.startswith("!")]


def copies(name: str) -> list[tuple[str, str]]:
    """(source, destination) of everything that a stage copies; `.` is what is let through, as far as it is there."""
    pairs = []
    for instruction, value in stage(name):
        if instruction == "COPY":
            *sources, destination = [part for part in value.split() if not part.startswith("--")]
            whole = [(name, name) for name in let_through() if (REPOSITORY / name).exists()]
            pairs += whole if sources == ["."] else [(source, destination) for source in sources]
    return pairs


def copy_all(name: str, folder: Path) -> None:
    """What the stage's COPY instructions leave in its working directory."""
    for source, destination in copies(name):
        target = folder / destination
        if (REPOSITORY / source).is_dir():
            shutil.copytree(REPOSITORY / source, target, dirs_exist_ok=True)
        else:
            target = target / source if destination.endswith("/") else target
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(REPOSITORY / source, target)


@pytest.mark.parametrize("name", ["cpu", "gpu"])
def test_what_is_copied_is_there_and_reaches_the_builder(name: str) -> None:
    for source, _ in copies(name):
        assert (REPOSITORY / source).exists(), source
        assert any(source == kept or source.startswith(f"{kept}/") for kept in let_through()), source
    assert {"lema_ray", "jobs", "pyproject.toml"} <= {source for source, _ in copies(name)}


@pytest.mark.parametrize("name", ["cpu", "gpu"])
def test_nobody_is_root_and_nothing_is_reported(name: str) -> None:
    users = [value for instruction, value in stage(name) if instruction == "USER"]
    assert users[-1] == "1000:100"
    environment = " ".join(value for instruction, value in stage(name) if instruction == "ENV")
    for setting in ("RAY_USAGE_STATS_ENABLED=0", "VLLM_NO_USAGE_STATS=1", "HF_HUB_DISABLE_TELEMETRY=1"):
        assert setting in environment
    packages = next(value for instruction, value in stage(name) if "apt-get install" in value)
    assert {"bash", "wget", "ca-certificates", "g++"} <= set(packages.split())


@pytest.mark.parametrize("name", ["cpu", "gpu"])
def test_every_run_step_is_shell_and_only_setup_installs_python_packages(name: str) -> None:
    steps = [value for instruction, value in stage(name) if instruction == "RUN"]
    for step in steps:
        subprocess.run(["bash", "-n", "-c", step], check=True)
        assert "pip install" not in step
    assert steps[-1] == f"LEMA_BUILD={name} scripts/setup.sh"
    last = [instruction for instruction, _ in stage(name)]
    assert last.index("USER") < len(last) - 1 - last[::-1].index("RUN"), "packages are installed by the user"


@pytest.mark.parametrize("name", ["cpu", "gpu"])
def test_the_installation_step_runs_in_the_copied_tree(name: str, tmp_path: Path) -> None:
    """The real setup script in the tree of its layer; pip and uv are stood in for, and write down what they hear."""
    layer = stage(name)
    copy_all("base", tmp_path)
    bin_folder = tmp_path / ".venv" / "bin"
    bin_folder.mkdir(parents=True)
    told = tmp_path / "told"
    _script(bin_folder / "uv", f'echo "$@" >> {told}')
    _script(bin_folder / "python", f'[ "$2" = pip ] && exit 0; exec {sys.executable} "$@"')
    step = next(value for instruction, value in reversed(layer) if instruction == "RUN")
    extras = next(v for i, v in layer if i == "ENV" and "LEMA_EXTRAS" in v).split("LEMA_EXTRAS=")[1].split()[0]
    environment = os.environ | {"LEMA_EXTRAS": extras}
    subprocess.run(["bash", "-c", step], cwd=tmp_path, env=environment, check=True, timeout=120)
    said = told.read_text()
    assert f"--editable .[{name},{extras}]" in said and "--constraint versions.txt" in said
    assert ("--constraint versions-cpu.lock" in said) == (name == "cpu")
    assert "dev" not in extras.split(",")
    assert (tmp_path / ".venv" / ".ready").exists()


def _script(path: Path, body: str) -> None:
    path.write_text(f"#!/bin/bash\n{body}\n")
    path.chmod(0o755)


def test_what_the_image_holds_is_enough_to_run_a_job(tmp_path: Path) -> None:
    copy_all("cpu", tmp_path)
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(tmp_path), "HOME": str(tmp_path)}
    for command in (["-m", "lema_ray.cli", "--help"], ["jobs/run.py", "--help"]):
        subprocess.run([sys.executable, *command], cwd=tmp_path, env=environment, check=True, capture_output=True)
    where = "import lema_ray, lema_ray.on_ray.flow; print(lema_ray.__file__)"
    done = subprocess.run([sys.executable, "-c", where], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.stdout.strip() == str(tmp_path / "lema_ray" / "__init__.py"), done.stderr
