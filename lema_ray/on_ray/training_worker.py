"""What one worker of Ray Train does: its share of every arm's rows, then the training of each arm with the others.

`trainer` starts a group of these. State that a restart needs is in the run folder and in Ray Train's checkpoints.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lema_ray.config import Objective, TrainConfig, Trained
from lema_ray.errors import LemaError
from lema_ray.on_ray.training_checkpoints import checkpoint_callback, fitted, resumed
from lema_ray.on_ray.training_progress import progress_callback
from lema_ray.runs import RunFolder
from lema_ray.training.together import gathered, together

DONE = "trained.json"
"""Written last beside a model: a directory without it is not a model."""


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """What every worker is told: `models` by name, with the arm and the seed of each.

    `deepspeed` is the JSON's content, as its file is on the driver's machine only.
    """

    root: str
    models: dict[str, Trained]
    base: str
    settings: TrainConfig
    deepspeed: dict[str, Any] | None
    too_long: str
    recipe: str
    questions: str


def work(told: dict[str, Any]) -> str | None:
    """One worker, all models. What the user has to put right comes back as text: raised, Ray would try it again."""
    from lema_ray.models import resolve_model
    from lema_ray.training.loop import start_worker

    plan: Plan = told["plan"]
    start_worker(plan.settings.cpus_per_worker, plan.settings.gpus_per_worker > 0)
    try:
        base = together(lambda: resolve_model(plan.base))
        for name in plan.models:
            if not RunFolder(plan.root).exists("models", name, DONE):
                _train(plan, base, name)
    except LemaError as error:
        return str(error)
    return None


def _train(plan: Plan, base: str, name: str) -> None:
    from ray.train import get_context

    from lema_ray.training.loop import TrainingFailed, TrainJob, train_model
    from lema_ray.training.model_card import taught_tasks
    from lema_ray.training.reporting import reported
    from lema_ray.training.tokenized import arm_objective, open_rows

    run, rank, workers = RunFolder(plan.root), get_context().get_world_rank(), get_context().get_world_size()
    # As many as there are workers at most: rows are tokenized once, however many take part in the end.
    shares = plan.settings.workers
    arm, seed = plan.models[name]
    objective = arm_objective(run, arm, plan.settings.objective)
    if plan.settings.trainer.get("report_to", "none") != "none":
        reported(run, name)
    counts = together(lambda: _tokenize(plan, run, base, arm, range(rank, shares, workers), objective))
    counts = {name: sum(share[name] for share in gathered(counts)) for name in counts}
    rows, dev_rows = (open_rows(run, arm, split, shares, objective) for split in ("train", "dev"))
    if rows is None:
        raise TrainingFailed(f"{run.uri('examples', arm)}: no row to train on")
    with tempfile.TemporaryDirectory() as scratch, resumed(name) as saved:
        checkpoint, deepspeed = fitted(saved, _picked(plan, run, base, arm, objective, rows), f"{scratch}/universal")
        local = not run.in_bucket
        output = run.uri("models", f"{name}.part") if local else f"{scratch}/model"
        shutil.rmtree(output, ignore_errors=rank != 0 or not os.path.exists(output))
        job = TrainJob(
            base=base,
            rows=rows,
            dev_rows=dev_rows,
            output=output,
            checkpoints=f"{scratch}/checkpoints",
            best=run.uri("checkpoints", name, "best"),
            objective=objective,
            settings=plan.settings,
            deepspeed=deepspeed,
            seed=seed,
            resume_from=checkpoint,
            card={
                "arm": name,
                "counts": counts,
                "recipe": plan.recipe,
                "questions": plan.questions,
                "tasks": taught_tasks(run, arm) if rank == 0 else (),
            },
        )
        trained = together(lambda: train_model(job, [checkpoint_callback(name), progress_callback(run, name)]))
        if rank == 0:
            _publish(run, name, output, trained.pop("history"), counts | trained)
        gathered(None)


def _picked(plan: Plan, run: RunFolder, base: str, arm: str, objective: Objective, rows: Any) -> dict[str, Any] | None:
    """The plan's DeepSpeed JSON. For `auto` the shipped one that fits the smallest worker; `plan.txt` says why."""
    from ray.train import get_context

    from lema_ray.training.deepspeed_files import AUTO, load_presets
    from lema_ray.training.memory import model_shape, pick_preset, training_load
    from lema_ray.training.meter import worker_memory
    from lema_ray.training.packing import row_lengths

    if plan.settings.deepspeed != AUTO:
        return plan.deepspeed

    def pick() -> tuple[str, list[str]]:
        shape, longest = model_shape(base), max(row_lengths(rows))
        tokens = plan.settings.max_length or longest if plan.settings.packing else longest
        load = training_load(shape, plan.settings, objective, tokens)
        memory = min(gathered(worker_memory(plan.settings.workers)))
        return pick_preset(shape, load, load_presets(), plan.settings.fewest_workers, *memory)

    name, lines = together(pick)
    if get_context().get_world_rank() == 0:
        run.write_text("\n".join([*lines, f"deepspeed: {name}", ""]), "checkpoints", arm, "plan.txt")
    return load_presets()[name]


def _tokenize(
    plan: Plan, run: RunFolder, base: str, arm: str, mine: Sequence[int], objective: Objective
) -> dict[str, int]:
    """This worker's shares of both splits; returns the counts of the training rows."""
    from transformers import AutoTokenizer

    from lema_ray.models import check_model
    from lema_ray.training.tokenized import row_limit, tokenize_share

    check_model(base)
    tokenizer = AutoTokenizer.from_pretrained(base)
    limit = row_limit(base, plan.settings.max_length)
    counts = Counter[str]()
    for share, split in itertools.product(mine, ("train", "dev")):
        of = (share, plan.settings.workers)
        found = tokenize_share(run, arm, split, of, tokenizer, limit, plan.too_long, objective)
        counts.update(found if split == "train" else {})
    return dict(counts)


def _publish(run: RunFolder, name: str, folder: str, history: list[dict[str, float]], counts: dict[str, Any]) -> None:
    from pyarrow import fs

    run.remove("models", name)
    if run.in_bucket:
        fs.copy_files(folder, run.uri("models", name))
    else:
        Path(folder).rename(run.uri("models", name))
    run.write_json(history, "models", name, "loss.json")
    run.write_json(counts, "models", name, DONE)
