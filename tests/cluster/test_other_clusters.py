"""Cluster files against Ray's own schema, the Slurm script against bash, documented commands against the CLI."""

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

REPOSITORY = Path(__file__).parents[2]
CLUSTER = REPOSITORY / "cluster"
DOCUMENTS = [CLUSTER / "README.md", REPOSITORY / "docs" / "operations.md"]


def prepared(name: str, **changes: Any) -> dict[str, Any]:
    """The file as `ray up` takes it: with the provider's defaults filled in."""
    from ray.autoscaler._private.util import prepare_config, validate_config

    config = yaml.safe_load((CLUSTER / "ray-up" / f"{name}.yaml").read_text()) | changes
    filled = prepare_config(config)
    validate_config(filled)
    return filled


@pytest.mark.parametrize("name", ["aws", "gcp"])
def test_ray_takes_the_cluster_file(name: str) -> None:
    filled = prepared(name)
    assert set(filled["available_node_types"]) == {"head", "workers", "gpu"}
    assert sum(t.get("max_workers", 0) for t in filled["available_node_types"].values()) <= filled["max_workers"]
    for start in (filled["head_start_ray_commands"][-1], filled["worker_start_ray_commands"][-1]):
        assert "RAY_AUTH_MODE=token" in start and "0.0.0.0" not in start
    with pytest.raises((jsonschema.ValidationError, ValueError)):
        prepared(name, max_workerz=1)


def test_the_slurm_script_is_shell_and_wants_a_config() -> None:
    script = CLUSTER / "slurm.sh"
    subprocess.run(["bash", "-n", str(script)], check=True)
    refused = subprocess.run(["bash", str(script)], capture_output=True, text=True)
    assert refused.returncode == 2 and "usage: sbatch" in refused.stderr


def commands(document: Path) -> list[list[str]]:
    """The lines of a document's shell blocks, continued ones joined, without comments."""
    blocks = re.findall(r"```bash\n(.*?)```", document.read_text(), re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [words for line in lines if (words := shlex.split(line, comments=True))]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda p: p.name)
def test_documented_commands_and_options_exist(document: Path) -> None:
    for words in commands(document):
        if not words[0].endswith("bin/lema"):
            continue
        _, name, *rest = words
        done = subprocess.run([sys.executable, "-m", "lema_ray.cli", name, "--help"], capture_output=True, text=True)
        assert done.returncode == 0, words
        for option in (word.partition("=")[0] for word in rest if word.startswith("--")):
            assert option in done.stdout, words


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda p: p.name)
def test_documented_files_exist(document: Path) -> None:
    for path in re.findall(r"\b(?:cluster|jobs|benchmarks|docs|scripts)/[\w./-]+\.\w+\b", document.read_text()):
        assert (REPOSITORY / path).exists(), path


def test_the_commands_of_the_readme_that_can_run_here_do(tmp_path: Path) -> None:
    """`lema manifest` and `kubectl kustomize`, as they are written there."""
    ran = 0
    for words in commands(CLUSTER / "README.md"):
        if words[:2] == [".venv/bin/lema", "manifest"]:
            out = str(tmp_path / words[words.index("--out") + 1]) if "--out" in words else str(tmp_path / "default")
            given = [word for i, word in enumerate(words[2:], 2) if word != "--out" and words[i - 1] != "--out"]
            command = [sys.executable, "-m", "lema_ray.cli", "manifest", *given, "--out", out]
            done = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY)
            assert done.returncode == 0, (words, done.stderr)
            ran += 1
    assert ran >= 2
