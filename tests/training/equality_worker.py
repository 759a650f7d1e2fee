"""One of several gloo workers: trains the tiny model in the ways of `equality_rows`, and leaves losses and models.

`python equality_worker.py MODEL RUN RANK WORKERS PORT`; `test_equality` starts them. Fewer than `equality_rows.WORKERS`
go on from the checkpoints that those left.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import sys
from pathlib import Path

from equality_rows import DECAY, DEEPSPEED, GO_ON, KINDS, PER_WORKER, RATE, SAVED, SEED, STEPS, WORKERS

from lema_ray.config import TrainConfig
from lema_ray.runs import RunFolder
from lema_ray.training.elastic import fits, load_universal, make_universal
from lema_ray.training.loop import TrainJob, load_deepspeed, start_worker, train_model
from lema_ray.training.together import workers_there
from lema_ray.training.tokenized import open_rows

TRAINER = {
    "per_device_train_batch_size": PER_WORKER,
    "max_steps": STEPS,
    "learning_rate": RATE,
    "weight_decay": DECAY,
    "logging_steps": 1,
    "save_strategy": "steps",
    "save_steps": SAVED,
    "train_sampling_strategy": "sequential",
}


def main(model: str, root: str, rank: str, workers: str, port: str) -> None:
    """Join the other workers, then one training after the other."""
    os.environ |= {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": workers}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    start_worker(1, on_gpu=False)
    for deepspeed, kind in itertools.product(DEEPSPEED, KINDS if int(workers) == WORKERS else GO_ON):
        job = _job(model, RunFolder(root), f"{deepspeed}-{kind}", deepspeed, KINDS[kind])
        if int(workers) < WORKERS:
            job = _going_on(job)
        trained = train_model(job)
        if rank == "0":
            Path(job.output, "history.json").write_text(json.dumps(trained))


def _going_on(job: TrainJob) -> TrainJob:
    saved = f"{job.checkpoints}/checkpoint-{SAVED}"
    assert job.deepspeed and not fits(saved, workers_there())
    checkpoint = make_universal(saved, f"{job.output}.universal")
    changed = {"deepspeed": load_universal(job.deepspeed), "resume_from": checkpoint}
    changed |= {"output": f"{job.output}.fewer", "checkpoints": f"{job.checkpoints}.fewer"}
    return dataclasses.replace(job, **changed)


def _job(model: str, run: RunFolder, name: str, deepspeed: str, options: dict) -> TrainJob:
    fixed = {"workers": WORKERS, "min_workers": 1, "trainer": TRAINER, "lora": {"r": 4, "dropout": 0}}
    settings = TrainConfig(deepspeed=deepspeed, **fixed, **options)
    return TrainJob(
        base=model,
        rows=open_rows(run, settings.objective, "train", 1, settings.objective),
        dev_rows=None,
        output=run.uri(name),
        checkpoints=run.uri(f"{name}.checkpoints"),
        best=run.uri(f"{name}.best"),
        objective=settings.objective,
        settings=settings,
        deepspeed=load_deepspeed(deepspeed),
        seed=SEED,
        resume_from=None,
        card={"arm": name, "counts": {}},
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
