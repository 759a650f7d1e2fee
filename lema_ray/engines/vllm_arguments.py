"""What vLLM has to be told before it starts: environment, engine arguments, and which weights may replace which.

Called by the vLLM engine and by the served one.
"""

from __future__ import annotations

import json
import os
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lema_ray.engines import EngineUnavailable

if TYPE_CHECKING:
    from lema_ray.config import VLLMSpec
    from lema_ray.engines.chat_template import ChatTemplate

GIB = 2**30

ONE_PROCESS = "vllm.v1.executor.uniproc_executor.UniProcExecutor"
"""The executor that vLLM uses on one GPU. By its path: the name `uni` it takes for `mp` on a CPU."""

# The ranks that vLLM has kernels for.
_LORA_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)

_SHAPE = (
    "architectures",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "vocab_size",
    "tie_word_embeddings",
)


def prepare_environment(path: str) -> None:
    """Set what vLLM and the hub client read when they are imported: no telemetry, no look-ups for a local model."""
    os.environ["VLLM_NO_USAGE_STATS"] = "1"
    os.environ["DO_NOT_TRACK"] = "1"
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")
    if os.path.isdir(path):
        os.environ.setdefault("HF_HUB_OFFLINE", "1")


def engine_arguments(spec: VLLMSpec, path: str, on_cpu: bool, adapter: str | None = None) -> dict[str, Any]:
    """Keyword arguments for vLLM's `EngineArgs`; `spec.engine_args` have the last word.

    `path` and `adapter` are the spec's model and adapter as local directories (or hub ids).
    """
    arguments: dict[str, Any] = {
        "model": path,
        "dtype": spec.dtype,
        "max_model_len": spec.max_model_len,
        "max_num_seqs": spec.max_num_seqs,
        "tensor_parallel_size": spec.tensor_parallel_size,
        "enable_prefix_caching": True,
        "disable_log_stats": True,
        "use_tqdm_on_load": False,
        "worker_extension_cls": "lema_ray.engines.vllm_worker.Reloading",
    }
    if on_cpu:
        arguments |= _cpu_arguments(spec)
    else:
        arguments["gpu_memory_utilization"] = spec.gpu_memory_utilization
    if adapter:
        arguments |= {"enable_lora": True, "max_lora_rank": lora_rank(adapter)}
    return arguments | spec.engine_args


def _cpu_arguments(spec: VLLMSpec) -> dict[str, Any]:
    # A scheduler and a worker in two processes wait for one another in loops that each take a core.
    one_process = {"distributed_executor_backend": ONE_PROCESS} if spec.tensor_parallel_size == 1 else {}
    return one_process | {
        # Few CPUs compute in bfloat16, and training compares in float32.
        "dtype": "float32" if spec.dtype == "auto" else spec.dtype,
        "enforce_eager": True,
        # vLLM 0.29 dies on CPU ("CPU Generator does not use offset") when the prompt of a seeded request is cut in two.
        "enable_chunked_prefill": False,
        # In bytes, because VLLM_CPU_KVCACHE_SPACE takes whole GiB only.
        "kv_cache_memory_bytes": int(spec.cpu_kv_cache_gb * GIB),
    }


def engine_threads(vllm_config: Any) -> AbstractContextManager[None]:
    """Start the engine's process in it: where that computes, on a CPU, it gets the threads that vLLM gives a worker."""
    if vllm_config.parallel_config.distributed_executor_backend != ONE_PROCESS:
        return nullcontext()
    from vllm.utils.ompmultiprocessing import OMPProcessManager

    threads: AbstractContextManager[None] = OMPProcessManager(vllm_config).configure_omp_envs(0, 0)
    return threads


def lora_rank(adapter: str) -> int:
    """The smallest rank vLLM offers that holds the adapter's; its own default of 16 refuses the paper's 64."""
    try:
        rank = int(json.loads(Path(adapter, "adapter_config.json").read_text())["r"])
    except (OSError, ValueError, KeyError) as error:
        raise EngineUnavailable(f"{adapter} is not an adapter directory: adapter_config.json: {error}") from error
    fitting = [offered for offered in _LORA_RANKS if offered >= rank]
    if not fitting:
        raise EngineUnavailable(f"{adapter} has rank {rank}; vLLM serves adapters up to rank {_LORA_RANKS[-1]}")
    return fitting[0]


def check_reloadable(old: str, new: str, old_template: ChatTemplate, new_template: ChatTemplate) -> None:
    """Raise `EngineUnavailable` unless the weights in `new` fit the engine that was started with `old`."""
    old_config, new_config = _read_config(old), _read_config(new)
    for key in _SHAPE:
        if old_config.get(key) != new_config.get(key):
            raise EngineUnavailable(
                f"{new} does not fit the running engine: {key} is {new_config.get(key)!r} there and "
                f"{old_config.get(key)!r} in {old}; start an engine of its own"
            )
    if old_template.tokenizer.get_vocab() != new_template.tokenizer.get_vocab():
        raise EngineUnavailable(f"{new} has another vocabulary than {old}; start an engine of its own")


def _read_config(path: str) -> dict[str, Any]:
    from transformers import AutoConfig

    try:
        return dict(AutoConfig.from_pretrained(path).to_dict())
    except (OSError, ValueError) as error:
        raise EngineUnavailable(f"{path}: no model configuration could be loaded: {error}") from error
