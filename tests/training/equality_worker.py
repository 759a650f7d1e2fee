"""One of two gloo workers: trains the tiny model in every way that `equality_rows` names, and leaves losses and models.

`python equality_worker.py MODEL RUN RANK PORT`; `test_equality` starts both.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from equality_rows import DEEPSPEED, KINDS, PER_WORKER, RATE, SEED, STEPS, WORKERS

from lema_ray.config import TrainConfig
from lema_ray.runs import RunFolder
from lema_ray.training.loop import TrainJob, load_deepspeed, start_worker, train_model
from lema_ray.training.tokenized import open_rows

TRAINER = {
    "per_device_train_batch_size": PER_WORKER,
    "max_steps": STEPS,
    "learning_rate": RATE,
    "logging_steps": 1,
    "save_strategy": "no",
    "train_sampling_strategy": "sequential",
}


def main(model: str, root: str, rank: str, port: str) -> None:
    """Join the other worker, then one training after the other."""
    os.environ |= {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": str(WORKERS)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    start_worker(1, on_gpu=False)
    for deepspeed in DEEPSPEED:
        for kind, options in KINDS.items():
            trained = train_model(_job(model, RunFolder(root), f"{deepspeed}-{kind}", deepspeed, options))
            if rank == "0":
                Path(root, f"{deepspeed}-{kind}", "history.json").write_text(json.dumps(trained))


def _job(model: str, run: RunFolder, name: str, deepspeed: str, options: dict) -> TrainJob:
    settings = TrainConfig(
        workers=WORKERS, deepspeed=deepspeed, trainer=TRAINER, lora={"r": 4, "dropout": 0}, **options
    )
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
