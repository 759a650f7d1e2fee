"""Train a run's verifier as one Ray task with the resources that the config gives it: `models/verifier/`.

Called by `on_ray.flow` for `lema train-verifier`.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import ray
from pyarrow import fs

from lema_ray.config import ActorsConfig, RunConfig
from lema_ray.on_ray.cluster import Pool, check_plan, connect
from lema_ray.on_ray.pools import stage_error
from lema_ray.records import GradedQuestion
from lema_ray.runs import RunFolder
from lema_ray.training.verifier import VerifierJob, train_verifier
from lema_ray.training.verifier_rows import claims

FOLDER = ("models", "verifier")


def train_run_verifier(config: RunConfig, run: RunFolder, base: str) -> dict[str, Any]:
    """Train the verifier of a run on its collected attempts; returns what `verifier.json` holds.

    Raises `VerifierError` when all attempts of a part are of one kind.
    """
    connect(config)
    told = config.verifier
    check_plan("verifier", [Pool("verifier", ActorsConfig(cpus=told.cpus, gpus=told.gpus))])
    task = ray.remote(num_cpus=told.cpus, num_gpus=told.gpus, max_retries=0)(_train)
    try:
        counts: dict[str, Any] = ray.get(task.remote(config, base, run.root))
    except ray.exceptions.RayError as error:
        raise stage_error(error) from None
    return counts


def _train(config: RunConfig, base: str, root: str) -> dict[str, Any]:
    run, settings = RunFolder(root), config.verifier
    rows = claims(run.read_records(GradedQuestion, "collected"), settings, config.seed)
    with tempfile.TemporaryDirectory() as scratch:
        output = str(Path(scratch, "verifier"))
        job = VerifierJob(settings.base or base, rows, settings, output, scratch, config.seed)
        told = train_verifier(job)
        run.remove(*FOLDER)
        fs.copy_files(output, run.uri(*FOLDER))
    return told


def describe(told: dict[str, Any]) -> str:
    """How good a verifier is, in lines."""
    test = told["test"]
    low, high = test["auc_interval"]
    bins = ", ".join(f"{b['said']:.2f} -> {b['wrong']:.2f} ({b['count']})" for b in test["calibration"])
    return "\n".join(
        (
            f"verifier trained on {told['trained_on']['attempts']} attempts",
            f"on {test['attempts']} attempts at {test['questions']} held-out questions, {test['wrong']} of them wrong:",
            f"  AUC {test['auc']:.3f} ({low:.3f} to {high:.3f})",
            f"  at threshold {told['threshold']:.2f}: {test['wrong_found']} of {test['wrong']} wrong ones found, "
            f"{test['right_doubted']} of {test['attempts'] - test['wrong']} right ones doubted, "
            f"accuracy {test['accuracy']:.3f} (always one verdict: {test['always_one_verdict']:.3f})",
            f"  calibration error {test['calibration_error']:.3f}; said -> wrong (attempts): {bins}",
        )
    )
