"""What a model is, for reusing its answers: the content of its folder, or no more than its name.

Called by `on_ray.evaluate`. A path or a name says nothing of the weights behind it today, so answers go from one run to
another only where the content is known; by name they are reused within their own run alone.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from lema_ray.config import EngineSpec, VLLMSpec
from lema_ray.models import resolve_model
from lema_ray.runs import RunFolder

READ_BY_ENGINES = {".safetensors", ".bin", ".json", ".jinja", ".model", ".txt", ".tiktoken", ".py"}
OUR_NOTES = {"loss.json", "trained.json"}
CHANGE_ANSWERS = {"dtype", "max_model_len", "tensor_parallel", "engine_args"}


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """`key` is equal for models that give the same answers; `by_content` says whether weights went into it."""

    key: str
    by_content: bool


def model_identity(spec: EngineSpec, run: RunFolder) -> ModelIdentity:
    """The identity of the model that a spec serves, with the engine settings that change what it says."""
    folders = _folders(spec) if isinstance(spec, VLLMSpec) else []
    if folders:
        content = [folder_fingerprint(folder) for folder in folders]
        return ModelIdentity(json.dumps([content, spec.model_dump(include=CHANGE_ANSWERS, mode="json")]), True)
    return ModelIdentity(json.dumps([run.root, spec.model_dump(mode="json")]), False)


def _folders(spec: VLLMSpec) -> list[Path]:
    """The folders of the model and its adapter; none where anything is named that is not such a folder."""
    named = [resolve_model(spec.model), *([spec.lora] if spec.lora else [])]
    folders = [Path(name).expanduser() for name in named]
    # A tokenizer or a template elsewhere would be known by its path only.
    elsewhere = any(isinstance(value, str) and Path(value).exists() for value in spec.engine_args.values())
    return [] if elsewhere or not all(folder.is_dir() for folder in folders) else folders


def folder_fingerprint(folder: Path) -> str:
    """32 hex digits of everything that an engine reads in a model's folder: weights, config, tokenizer, template."""
    whole = hashlib.blake2b(digest_size=16)
    found = (p for p in folder.iterdir() if p.is_file() and p.suffix in READ_BY_ENGINES and p.name not in OUR_NOTES)
    for path in sorted(found):
        status = path.stat()
        whole.update(f"{path.name}:{_digest(str(path), status.st_size, status.st_mtime_ns)}\n".encode())
    return whole.hexdigest()


@lru_cache(maxsize=1024)
def _digest(path: str, size: int, changed_ns: int) -> str:
    """One file's content, read once as long as it stays as it is."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
