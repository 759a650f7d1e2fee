"""What our engine adds to vLLM's workers: reloading weights that also reaches a tied output layer on CPU.

Named to vLLM as `worker_extension_cls`, which mixes it into the worker class; called through `collective_rpc`.
"""

from __future__ import annotations

from typing import Any


class Reloading:
    """Mixed into vLLM's `Worker`."""

    reload_weights: Any
    model_runner: Any

    def load_other_weights(self, path: str) -> None:
        """Replace the model's weights by those in `path`."""
        from vllm.model_executor.layers.vocab_parallel_embedding import VocabParallelEmbedding

        self.reload_weights(weights_path=path)
        # vLLM 0.29 leaves a tied output layer out of a reload; on CPU that layer computes with a packed copy of the old
        # embeddings and would go on doing so.
        for layer in self.model_runner.get_model().modules():
            if isinstance(layer, VocabParallelEmbedding):
                layer.quant_method.process_weights_after_loading(layer)
