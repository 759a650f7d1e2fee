"""What can only be seen once the model is on its workers, looked at in the first step of every training.

`loop` adds `save_test`, `trainers` calls `check_packing`; both stop all workers with a `TrainingFailed`.
"""

from __future__ import annotations

import shutil
from typing import Any

from lema_ray.errors import LemaError
from lema_ray.models import ModelError
from lema_ray.training.collating import PaddedRows
from lema_ray.training.masking import NOT_LEARNED
from lema_ray.training.saved_model import check_adapter, check_saved_model

CLOSE = {"float32": 1e-4}
CLOSE_IN_16_BITS = 2e-2


class TrainingFailed(LemaError):
    """The training ran but its result cannot be used."""


def check_packing(trainer: Any, model: Any, packed: dict[str, Any], rows: Any) -> None:
    """Raise `TrainingFailed` unless rows have the loss in a pack that they have alone, so none sees another.

    An architecture that does not read positions, or an attention kernel that does not, would let them.
    """
    import torch

    collator = trainer.data_collator
    alone = PaddedRows(collator.pad_token)([collator.rows[int(row)] for row in rows.flatten() if row >= 0])
    alone = {name: value.to(packed["input_ids"].device) for name, value in alone.items() if name not in trainer.notes}
    training = model.training
    model.eval()
    with torch.no_grad(), trainer.compute_loss_context_manager():
        packed_loss, loss = _mean_loss(model, packed), _mean_loss(model, alone)
    model.train(training)
    close = CLOSE.get(str(next(model.parameters()).dtype).removeprefix("torch."), CLOSE_IN_16_BITS)
    leaks = torch.tensor([float(abs(packed_loss - loss) > close * abs(loss))], device=packed["input_ids"].device)
    if trainer.accelerator.gather(leaks).any():
        raise TrainingFailed(
            f"train.packing: the rows of a pack see one another in this model: their loss is {packed_loss:.6f} in packs"
            f" and {loss:.6f} one by one. Set train.packing to false, or another attn_implementation"
        )


def _mean_loss(model: Any, batch: dict[str, Any]) -> float:
    labels = batch["labels"]
    log_probs = model(**batch, fused_lm_head=True).log_probs
    return -float(log_probs.sum() / (labels[:, 1:] != NOT_LEARNED).sum())


def save_test(trainer: Any, base: str, folder: str, adapter: bool) -> Any:
    """A callback that saves a ZeRO-3 model once, after its first step, and checks what came of it.

    Partitioned weights that nobody gathered leave empty files, which otherwise shows only when the training is over.
    """
    from accelerate.utils import broadcast_object_list
    from transformers import TrainerCallback

    class SaveTest(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if state.global_step != 1:
                return
            trainer.save_model(folder)
            refusal = [_refusal(folder, base, adapter) if state.is_world_process_zero else None]
            broadcast_object_list(refusal, from_process=0)
            shutil.rmtree(folder, ignore_errors=True)
            if refusal[0]:
                raise TrainingFailed(f"a save after the first step cannot be used, nor would the last: {refusal[0]}")

    return SaveTest()


def _refusal(folder: str, base: str, adapter: bool) -> str | None:
    try:
        if adapter:
            check_adapter(folder)
        else:
            check_saved_model(folder, base)
    except ModelError as error:
        return str(error)
    return None
