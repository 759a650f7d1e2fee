"""Names of models to directories: built-in models are made on first use and cached, all others pass through.

Engines, training and the CLI call `resolve_model` and `check_model` before anything heavy is imported.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pyarrow import fs

from lema_ray.errors import LemaError


class ModelError(LemaError):
    """The model cannot be used; the message says why and what to do."""


def resolve_model(name: str) -> str:
    """The local directory of a built-in model, made now if this is its first use, or of one in a bucket, copied here.

    Any other name as it is. Raises `ModelError` for a built-in that does not exist or cannot be made here, and for a
    place in a bucket with nothing in it.
    """
    if make := BUILT_IN.get(name):
        return make()
    if "://" in name:
        return _fetched(name)
    if name.startswith("demo/") and not Path(name).exists():
        raise ModelError(f"{name}: no such built-in model; there are {', '.join(BUILT_IN)}")
    return name


def _fetched(uri: str) -> str:
    """A model of a bucket as a local directory, kept under what the bucket says of it: names, sizes, times."""
    filesystem, base = fs.FileSystem.from_uri(uri)
    found = filesystem.get_file_info(fs.FileSelector(base, recursive=True, allow_not_found=True))
    files = sorted((i.path, i.size, str(i.mtime)) for i in found if i.type == fs.FileType.File)
    if not files:
        raise ModelError(f"{uri}: no model there")
    key = hashlib.blake2b(json.dumps([uri, files]).encode(), digest_size=16).hexdigest()
    return cached_model(
        f"bucket-{key}", lambda folder: fs.copy_files(base, str(folder), filesystem, fs.LocalFileSystem())
    )


def check_model(path: str) -> None:
    """Raise `ModelError` unless a local directory has config, weights, tokenizer and chat template; hub ids pass."""
    folder = Path(path).expanduser()
    if not folder.is_dir():
        if path.startswith((".", "/", "~")):
            raise ModelError(f"{path}: no such model directory")
        return
    if (folder / "adapter_config.json").exists() and not (folder / "config.json").exists():
        base = read_json(folder / "adapter_config.json", "").get("base_model_name_or_path")
        raise ModelError(f"{path}: an adapter, not a model: name its base as the model ({base}), and this on top of it")
    _config(folder)
    if not any(folder.glob("*.safetensors")) and not any(folder.glob("*.bin")):
        raise ModelError(f"{path}: no weights (*.safetensors) in this model directory")
    if not any((folder / name).exists() for name in ("tokenizer.json", "tokenizer.model", "vocab.json")):
        raise ModelError(f"{path}: no tokenizer (tokenizer.json) in this model directory")
    if not _has_chat_template(folder):
        raise ModelError(
            f"{path}: the tokenizer has no chat template; add chat_template.jinja beside it, from the model's"
            " instruction-tuned version or one of your own"
        )


def context_length(path: str) -> int | None:
    """The most tokens, prompt and answer together, that a local model takes; None where its config does not say."""
    folder = Path(path).expanduser()
    if not folder.is_dir():
        return None
    config = _config(folder)
    length = config.get("text_config", config).get("max_position_embeddings") or config.get("n_positions")
    return int(length) if length else None


def cache_folder() -> Path:
    """Where made models are kept: `LEMA_CACHE`, else `~/.cache/lema_ray`."""
    return Path(os.environ.get("LEMA_CACHE") or "~/.cache/lema_ray").expanduser()


def cached_model(key: str, make: Callable[[Path], None]) -> str:
    """The directory of a made model. `make` fills it once, whoever else is asking; half of one is never seen."""
    folder = cache_folder() / "models" / key
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(folder.with_name(f"{key}.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            part = folder.with_name(f"{key}.part")
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir()
            make(part)
            part.rename(folder)
    return str(folder)


def _config(folder: Path) -> dict[str, Any]:
    return read_json(folder / "config.json", f"{folder}: not a model directory: it has no config.json")


def _has_chat_template(folder: Path) -> bool:
    if (folder / "chat_template.jinja").exists() or (folder / "chat_template.json").exists():
        return True
    path = folder / "tokenizer_config.json"
    return path.exists() and bool(read_json(path, "").get("chat_template"))


def read_json(path: Path, missing: str) -> dict[str, Any]:
    """An object from a JSON file. Raises `ModelError`, with the words `missing` when there is no file."""
    try:
        data = json.loads(path.read_text())
    except FileNotFoundError:
        raise ModelError(missing) from None
    except ValueError as error:
        raise ModelError(f"{path}: not valid JSON: {error}") from None
    if not isinstance(data, dict):
        raise ModelError(f"{path}: expected an object, found {type(data).__name__}")
    return data


def _word_problems() -> str:
    from lema_ray.demo.base_model import BaseModelSettings, recipe_id, train_base_model

    settings = BaseModelSettings()
    return cached_model(recipe_id(settings), lambda folder: train_base_model(settings, folder))


def _marked_problems() -> str:
    from lema_ray.demo.marking_model import recipe_id, train_marking_model

    return cached_model(recipe_id(), train_marking_model)


def _programs() -> str:
    from lema_ray.demo.programming_model import recipe_id, train_programming_model

    return cached_model(recipe_id(), train_programming_model)


def _smollm2() -> str:
    from lema_ray.demo.smollm2 import KEY, convert

    return cached_model(KEY, convert)


BUILT_IN: dict[str, Callable[[], str]] = {
    "demo/word-problems": _word_problems,
    "demo/marked-problems": _marked_problems,
    "demo/programs": _programs,
    "smollm2-135m-instruct": _smollm2,
}
