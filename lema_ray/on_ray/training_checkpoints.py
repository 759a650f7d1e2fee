"""A training worker's checkpoints: the last one, fitted to the workers there are, and new ones for Ray Train to keep.

`training_worker` calls this.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lema_ray.training.together import gathered


def fitted(
    checkpoint: str | None, deepspeed: dict[str, Any] | None, scratch: str
) -> tuple[str | None, dict[str, Any] | None]:
    """The checkpoint and DeepSpeed's JSON, both for as many workers as there are now: one a node converts it there."""
    from ray.train import get_context

    from lema_ray.training.elastic import fits, load_universal, make_universal

    context = get_context()
    if checkpoint is None or deepspeed is None or fits(checkpoint, context.get_world_size()):
        return checkpoint, deepspeed
    made = make_universal(checkpoint, scratch) if context.get_local_rank() == 0 else None
    nodes = {node: folder for node, folder in gathered((context.get_node_rank(), made)) if folder}
    return nodes[context.get_node_rank()], load_universal(deepspeed)


@contextmanager
def resumed(name: str) -> Iterator[str | None]:
    """The model's last checkpoint as a local directory, or None; another model's does not count."""
    from ray.train import get_checkpoint

    checkpoint = get_checkpoint()
    if checkpoint is None:
        yield None
        return
    with checkpoint.as_directory() as folder:
        mine = Path(folder, name)
        yield str(mine) if mine.is_dir() else None


def checkpoint_callback(name: str) -> Any:
    """Hands each of the trainer's checkpoints to Ray Train, under the model's name, and lets go of the local copy."""
    from ray.train.huggingface.transformers import RayTrainReportCallback
    from transformers.trainer_utils import get_last_checkpoint

    class Report(RayTrainReportCallback):  # type: ignore[misc]
        CHECKPOINT_NAME = name

        def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            super().on_save(args, state, control, **kwargs)
            shutil.rmtree(get_last_checkpoint(args.output_dir) or "", ignore_errors=True)

    return Report()
