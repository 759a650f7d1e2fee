"""SFT's loss without what TRL computes beside it: the mean NLL of the learned tokens.

TRL also takes every position's entropy and best token, sums each over all workers and waits for the result, batch by
batch. `trainers` mixes this in before TRL's trainer, whose own loss is left where it is asked for something else:
another `loss_type`, label smoothing, experts to balance, shared sequences.
"""

from __future__ import annotations

from inspect import signature
from typing import Any

from lema_ray.training.masking import NOT_LEARNED

SMALL_LOGITS = 2**26
"""Up to so many numbers (a quarter of a GB in 32 bits) a micro-batch's logits are made at once; beyond, TRL makes them
in tiles, and once more in the backward pass. Counted as if every position were learned."""


class PlainNll:
    """Before `SFTTrainer` in a class's bases."""

    model: Any
    args: Any
    accelerator: Any
    label_smoother: Any
    aux_loss_enabled: bool
    in_tiles = True
    """Decided once for all workers and batches: under ZeRO-3 both ways gather the weights in another order."""

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """The batch's NLL over `num_items_in_batch`, the learned tokens of all workers; without it over its own."""
        if return_outputs or not self._plain():
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)  # type: ignore[misc]
        count = num_items_in_batch if num_items_in_batch is not None else learned(inputs["labels"]).sum()
        loss = summed_nll(model, inputs, self.in_tiles) / count.clamp(min=1)
        # Gradients are averaged over workers, but the count is of all of them.
        if num_items_in_batch is not None and self.args.average_tokens_across_devices:
            loss = loss * self.accelerator.num_processes
        return loss

    def _plain(self) -> bool:
        asked = self.args.loss_type != "nll" or self.label_smoother is not None or self.aux_loss_enabled
        return not asked and self.accelerator.parallelism_config is None


def summed_nll(model: Any, batch: dict[str, Any], in_tiles: bool) -> Any:
    """The negative log-likelihood of a batch's learned tokens, given what stands before them, as one number."""
    from torch.nn.functional import cross_entropy, pad

    if in_tiles:
        return -model(**batch, fused_lm_head=True).log_probs.sum()
    inputs = {name: value for name, value in batch.items() if name != "labels"}
    told = learned(batch["labels"])
    # Logits of the positions before learned tokens only; no row's last position is one.
    logits = model(**inputs, logits_to_keep=pad(told, (0, 1)), use_cache=False).logits
    return cross_entropy(logits.float(), batch["labels"][:, 1:][told], reduction="sum")


def learned(labels: Any) -> Any:
    """Which tokens after each row's first are learned, as a mask."""
    return labels[:, 1:] != NOT_LEARNED


def takes_positions(model: Any) -> bool:
    """Whether a model, with or without an adapter, makes logits of chosen positions only; of text nearly all do."""
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    return "logits_to_keep" in signature(inner.forward).parameters
