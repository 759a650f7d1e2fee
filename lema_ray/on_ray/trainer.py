"""Fine-tune the arms of a run on Ray Train: one group of workers trains them one after the other.

Called by `on_ray.flow` and `jobs/train.py`. A worker's start costs about half a minute of imports, so it is paid once
for all arms. Each arm's model is published when it is whole; a later start of the same run trains what is missing.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from lema_ray.config import ConfigError, Objective, RunConfig, TrainConfig, VLLMSpec
from lema_ray.errors import LemaError
from lema_ray.on_ray.training_progress import followed, progress_callback
from lema_ray.runs import RunFolder

T = TypeVar("T")
DONE = "trained.json"
"""Written last beside a model: a directory without it is not a model."""


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """What every worker is told. `deepspeed` is the JSON's content, as its file is on the driver's machine only."""

    root: str
    arms: tuple[str, ...]
    base: str
    settings: TrainConfig
    deepspeed: dict[str, Any] | None
    too_long: str
    seed: int


def train_arm(config: RunConfig, run: RunFolder, arm: str) -> dict[str, Any]:
    """`train_arms` for one arm; returns its counts."""
    return train_arms(config, run, [arm])[arm]


def train_arms(config: RunConfig, run: RunFolder, arms: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Fine-tune the base on each arm's examples; models go to `models/<arm>/`, the loss to `models/<arm>/loss.json`.

    Returns counts per arm: examples, tokens, learned_tokens, dropped, steps, seconds and final_loss. Arms that are
    trained already are not trained again. Raises a `LemaError` that says what to do when the settings, the
    rows or the result cannot be used.
    """
    pending = tuple(arm for arm in arms if not run.exists("models", arm, DONE))
    if pending:
        _fit(_plan(config, run, pending))
    return {arm: run.read_json("models", arm, DONE) for arm in arms}


def _plan(config: RunConfig, run: RunFolder, arms: tuple[str, ...]) -> Plan:
    from lema_ray.training.settings import load_deepspeed, settled

    students = [s.engine.model for s in config.students if isinstance(s.engine, VLLMSpec)]
    base = config.train.base or next(iter(students), None)
    if base is None:
        raise ConfigError("train.base: name the model to fine-tune; no student of this run is a vLLM model")
    deepspeed = load_deepspeed(config.train.deepspeed)
    settings = settled(config.train, deepspeed)
    return Plan(run.root, arms, base, settings, deepspeed, config.build.too_long, config.seed)


def _fit(plan: Plan) -> None:
    from ray.train import CheckpointConfig, FailureConfig, ScalingConfig
    from ray.train import RunConfig as RayRunConfig
    from ray.train.torch import TorchConfig, TorchTrainer
    from ray.train.v2.api.exceptions import TrainingFailedError

    from lema_ray.training.loop import TrainingFailed

    settings = plan.settings
    on_gpu = settings.gpus_per_worker > 0
    resources = {"CPU": settings.cpus_per_worker} | ({"GPU": settings.gpus_per_worker} if on_gpu else {})
    trainer = TorchTrainer(
        _work,
        train_loop_config={"plan": plan},
        torch_config=TorchConfig(backend="nccl" if on_gpu else "gloo"),
        scaling_config=ScalingConfig(num_workers=settings.workers, use_gpu=on_gpu, resources_per_worker=resources),
        run_config=RayRunConfig(
            # One name for all starts: a run that goes on with fewer arms finds the checkpoint of the one it was at.
            name="workers",
            storage_path=RunFolder(plan.root).uri("checkpoints"),
            failure_config=FailureConfig(max_failures=1),
            checkpoint_config=CheckpointConfig(num_to_keep=settings.keep_checkpoints),
        ),
    )
    try:
        with followed(RunFolder(plan.root), plan.arms):
            refusal = trainer.fit().return_value
    except TrainingFailedError as error:
        raise TrainingFailed(f"training {', '.join(plan.arms)} failed twice in its workers:\n{error}") from error
    if refusal:
        raise TrainingFailed(refusal)


def _work(told: dict[str, Any]) -> str | None:
    """One worker, all arms. What the user has to put right comes back as text: raised, Ray would only try it again."""
    from lema_ray.models import resolve_model
    from lema_ray.training.loop import start_worker

    plan: Plan = told["plan"]
    start_worker(plan.settings.cpus_per_worker, plan.settings.gpus_per_worker > 0)
    try:
        base = _together(lambda: resolve_model(plan.base))
        for arm in plan.arms:
            if not RunFolder(plan.root).exists("models", arm, DONE):
                _train(plan, base, arm)
    except LemaError as error:
        return str(error)
    return None


def _train(plan: Plan, base: str, arm: str) -> None:
    from ray.train import get_context

    from lema_ray.training.loop import TrainingFailed, TrainJob, train_model
    from lema_ray.training.tokenized import arm_objective, open_rows

    run, rank, workers = RunFolder(plan.root), get_context().get_world_rank(), get_context().get_world_size()
    objective = arm_objective(run, arm, plan.settings.objective)
    counts = _together(lambda: _tokenize(plan, run, base, arm, (rank, workers), objective))
    counts = {name: sum(share[name] for share in _gathered(counts)) for name in counts}
    rows, dev_rows = (open_rows(run, arm, split, workers, objective) for split in ("train", "dev"))
    if rows is None:
        raise TrainingFailed(f"{run.uri('examples', arm)}: no row to train on")
    with tempfile.TemporaryDirectory() as scratch, _resumed(arm) as checkpoint:
        local = "://" not in run.root
        output = run.uri("models", f"{arm}.part") if local else f"{scratch}/model"
        shutil.rmtree(output, ignore_errors=rank != 0 or not os.path.exists(output))
        job = TrainJob(
            base=base,
            rows=rows,
            dev_rows=dev_rows,
            output=output,
            checkpoints=f"{scratch}/checkpoints",
            best=run.uri("checkpoints", arm, "best") if local else f"{scratch}/best",
            objective=objective,
            settings=plan.settings,
            deepspeed=_picked(plan, run, base, arm, objective, rows),
            seed=plan.seed,
            resume_from=checkpoint,
            card={"arm": arm, "counts": counts},
        )
        trained = _together(lambda: train_model(job, [_checkpoint_callback(arm), progress_callback(run, arm)]))
        if rank == 0:
            _publish(run, arm, output, trained.pop("history"), counts | trained)
        _gathered(None)


def _picked(plan: Plan, run: RunFolder, base: str, arm: str, objective: Objective, rows: Any) -> dict[str, Any] | None:
    """The plan's DeepSpeed JSON. For `auto` the shipped one that fits the smallest worker; `plan.txt` says why."""
    from lema_ray.training.memory import model_shape, pick_preset, training_load
    from lema_ray.training.meter import worker_memory
    from lema_ray.training.packing import row_lengths
    from lema_ray.training.settings import AUTO, load_presets

    if plan.settings.deepspeed != AUTO:
        return plan.deepspeed

    def pick() -> tuple[str, list[str]]:
        shape, longest = model_shape(base), max(row_lengths(rows))
        tokens = plan.settings.max_length or longest if plan.settings.packing else longest
        load = training_load(shape, plan.settings, objective, tokens)
        memory = min(_gathered(worker_memory(plan.settings.workers)))
        return pick_preset(shape, load, load_presets(), plan.settings.workers, *memory)

    name, lines = _together(pick)
    run.write_text("\n".join([*lines, f"deepspeed: {name}", ""]), "checkpoints", arm, "plan.txt")
    return load_presets()[name]


def _tokenize(
    plan: Plan, run: RunFolder, base: str, arm: str, share: tuple[int, int], objective: Objective
) -> dict[str, int]:
    """This worker's share of both splits; returns the counts of the training rows."""
    from transformers import AutoTokenizer

    from lema_ray.models import check_model
    from lema_ray.training.tokenized import row_limit, tokenize_share

    check_model(base)
    tokenizer = AutoTokenizer.from_pretrained(base)
    limit = row_limit(base, plan.settings.max_length)
    counts, _ = (
        tokenize_share(run, arm, split, share, tokenizer, limit, plan.too_long, objective) for split in ("train", "dev")
    )
    return counts


def _publish(run: RunFolder, arm: str, folder: str, history: list[dict[str, float]], counts: dict[str, Any]) -> None:
    from pyarrow import fs

    run.remove("models", arm)
    if "://" in run.root:
        fs.copy_files(folder, run.uri("models", arm))
    else:
        Path(folder).rename(run.uri("models", arm))
    run.write_json(history, "models", arm, "loss.json")
    run.write_json(counts, "models", arm, DONE)


def _together(work: Callable[[], T]) -> T:
    """Run on every worker; when one of them refuses, all do, so that none waits for it in the next collective."""
    result, refusal = None, None
    try:
        result = work()
    except LemaError as error:
        refusal = str(error)
    refusals = [r for r in _gathered(refusal) if r]
    if refusals:
        raise LemaError(refusals[0])
    return result  # type: ignore[return-value]


def _gathered(mine: T) -> list[T]:
    """What every worker brought, in the order of their ranks; it is also where they wait for one another."""
    from torch import distributed

    everyone: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(everyone, mine)
    return everyone


@contextmanager
def _resumed(arm: str) -> Iterator[str | None]:
    """The arm's last checkpoint as a local directory, or None; another arm's does not count."""
    from ray.train import get_checkpoint

    checkpoint = get_checkpoint()
    if checkpoint is None:
        yield None
        return
    with checkpoint.as_directory() as folder:
        mine = Path(folder, arm)
        yield str(mine) if mine.is_dir() else None


def _checkpoint_callback(arm: str) -> Any:
    """Hands each of the trainer's checkpoints to Ray Train, under the arm's name, and lets go of the local copy."""
    from ray.train.huggingface.transformers import RayTrainReportCallback
    from transformers.trainer_utils import get_last_checkpoint

    class Report(RayTrainReportCallback):  # type: ignore[misc]
        CHECKPOINT_NAME = arm

        def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            super().on_save(args, state, control, **kwargs)
            shutil.rmtree(get_last_checkpoint(args.output_dir) or "", ignore_errors=True)

    return Report()
