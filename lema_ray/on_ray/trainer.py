"""Fine-tune the arms of a run on Ray Train: one group of workers trains them one after the other.

Called by `on_ray.flow` and `jobs/train.py`. A worker's start costs about half a minute of imports, so it is paid once
for all arms; `training_worker` is what each of them does. Each arm's model is published when it is whole; a later start
of the same run trains what is missing.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from typing import Any

from lema_ray.config import ConfigError, RunConfig, Trained, VLLMSpec
from lema_ray.on_ray.training_progress import followed
from lema_ray.on_ray.training_worker import DONE, Plan, work
from lema_ray.runs import RunFolder

NO_ROOM = (os.strerror(errno.ENOSPC), "unexpected pos")
"""What the system, and torch, say of a disk without room."""


def train_arm(config: RunConfig, run: RunFolder, arm: str) -> dict[str, Any]:
    """`train_arms` for one arm; returns its counts."""
    return train_arms(config, run, [arm])[arm]


def train_arms(config: RunConfig, run: RunFolder, arms: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Fine-tune the base on each arm's examples, once a seed; models go to `models/<name>/`, with the loss beside them.

    Returns counts per model (`RunConfig.trained` has the names): examples, tokens, learned_tokens, dropped, steps,
    seconds and final_loss. Models that are trained already are not trained again. Raises a `LemaError` that says
    what to do when the settings, the rows or the result cannot be used.
    """
    if unknown := set(arms) - set(config.build.arms):
        raise ConfigError(f"build.arms: there is no arm {', '.join(sorted(unknown))} to train")
    models = {name: made for name, made in config.trained.items() if made.arm in arms}
    pending = {name: made for name, made in models.items() if not run.exists("models", name, DONE)}
    if pending:
        _fit(_plan(config, run, pending))
    return {name: run.read_json("models", name, DONE) for name in models}


def _plan(config: RunConfig, run: RunFolder, models: dict[str, Trained]) -> Plan:
    from lema_ray.training.deepspeed_files import load_deepspeed, settled

    students = [s.engine.model for s in config.students if isinstance(s.engine, VLLMSpec)]
    base = config.train.base or next(iter(students), None)
    if base is None:
        raise ConfigError("train.base: name the model to fine-tune; no student of this run is a vLLM model")
    deepspeed = load_deepspeed(config.train.deepspeed)
    settings = settled(config.train, deepspeed)
    recipe = ", ".join(recipe.name for recipe in config.recipes)
    source = config.questions.train.source
    return Plan(run.root, models, base, settings, deepspeed, config.build.too_long, recipe, source)


def _fit(plan: Plan) -> None:
    from ray.train import CheckpointConfig, FailureConfig, ScalingConfig
    from ray.train import RunConfig as RayRunConfig
    from ray.train.torch import TorchConfig, TorchTrainer
    from ray.train.v2.api.exceptions import TrainingFailedError

    from lema_ray.training.loop import TrainingFailed

    settings = plan.settings
    on_gpu = settings.gpus_per_worker > 0
    resources = {"CPU": settings.cpus_per_worker} | ({"GPU": settings.gpus_per_worker} if on_gpu else {})
    elastic = settings.fewest_workers < settings.workers
    workers = (settings.fewest_workers, settings.workers) if elastic else settings.workers
    trainer = TorchTrainer(
        work,
        train_loop_config={"plan": plan},
        torch_config=TorchConfig(backend="nccl" if on_gpu else "gloo"),
        scaling_config=ScalingConfig(num_workers=workers, use_gpu=on_gpu, resources_per_worker=resources),
        run_config=RayRunConfig(
            # One name for all starts: a run that goes on with fewer arms finds the checkpoint of the one it was at.
            name="workers",
            storage_path=RunFolder(plan.root).uri("checkpoints"),
            failure_config=FailureConfig(max_failures=settings.restarts),
            checkpoint_config=CheckpointConfig(num_to_keep=settings.keep_checkpoints),
        ),
    )
    try:
        with followed(RunFolder(plan.root), list(plan.models)):
            refusal = trainer.fit().return_value
    except TrainingFailedError as error:
        raise TrainingFailed(_explained(plan, str(error))) from error
    if refusal:
        raise TrainingFailed(refusal)


def _explained(plan: Plan, error: str) -> str:
    """What made the workers fail once too often; a disk without room, which comes in many ways, as one line."""
    what = f"training {', '.join(plan.models)}"
    if not any(sign in error for sign in NO_ROOM):
        return f"{what} failed {plan.settings.restarts + 1} times in its workers:\n{error}"
    where = f"{RunFolder(plan.root).uri('checkpoints')}, or a worker's temporary folder"
    return f"{what}: the disk is full ({where}). The last checkpoint is kept: free some space and run the same command"
