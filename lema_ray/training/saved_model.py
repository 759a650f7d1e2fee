"""A trained model's directory: finish it for serving, describe it, and check that nothing of it is missing.

`training` calls `finish_model` where the weights are saved; `on_ray.trainer` and evaluation call `check_saved_model`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from lema_ray.models import ModelError, check_model, read_json
from lema_ray.training.model_card import model_card


@dataclass(frozen=True, slots=True)
class SavedModel:
    """What is on the disk: tensors, parameters, and bytes of weights."""

    tensors: int
    parameters: int
    bytes: int


def check_saved_model(path: str, base_path: str) -> SavedModel:
    """Raise `ModelError` unless a saved model is complete: whole files, and every tensor of its base in the same shape.

    ZeRO-3 leaves empty tensors in a model that was saved without gathering it, and a save that was interrupted leaves
    files short; both are found here without loading any weight.
    """
    check_model(path)
    saved, base = tensor_shapes(Path(path)), tensor_shapes(_base_folder(base_path))
    tied = {"lm_head.weight"} if _config(path).get("tie_word_embeddings") else set()
    missing = sorted(base.keys() - saved.keys() - tied)
    if missing:
        raise ModelError(
            f"{path}: {len(missing)} tensors of the base are not in the saved model: {', '.join(missing[:5])}"
        )
    differing = [f"{n} {saved[n]} instead of {s}" for n, s in base.items() if n in saved and saved[n] != s]
    if differing:
        raise ModelError(
            f"{path}: {len(differing)} tensors have another shape than the base's: {', '.join(differing[:5])}"
        )
    files = Path(path).glob("*.safetensors")
    return SavedModel(len(saved), sum(prod(s) for s in saved.values()), sum(f.stat().st_size for f in files))


def check_adapter(path: str) -> None:
    """Raise `ModelError` unless an adapter is complete: its config, whole files, and no tensor that is empty."""
    read_json(Path(path) / "adapter_config.json", f"{path}: no adapter: it has no adapter_config.json")
    if empty := [name for name, shape in tensor_shapes(Path(path)).items() if 0 in shape]:
        raise ModelError(f"{path}: {len(empty)} tensors of the adapter are empty: {', '.join(empty[:5])}")


def finish_model(folder: str, end_of_turn: int, card: Mapping[str, Any]) -> None:
    """Make the saved model stop at its template's end of turn, and write its model card."""
    for pickled in Path(folder).rglob("training_args.bin"):
        pickled.unlink()
    path = Path(folder) / "generation_config.json"
    settings = json.loads(path.read_text()) if path.exists() else {}
    stops = settings.get("eos_token_id")
    stops = stops if isinstance(stops, list) else [s for s in [stops] if s is not None]
    # Base models often name another token than their chat template's, and then never stop talking.
    if end_of_turn not in stops:
        settings["eos_token_id"] = [end_of_turn, *stops]
        path.write_text(json.dumps(settings, indent=2) + "\n")
    (Path(folder) / "README.md").write_text(model_card(card))


def tensor_shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """Tensor shapes from the headers of all weight files; none of the weights are read."""
    from safetensors import SafetensorError, safe_open

    shapes = {}
    for file in _weight_files(folder):
        try:
            with safe_open(file, framework="numpy") as weights:
                shapes.update({name: tuple(weights.get_slice(name).get_shape()) for name in weights.keys()})  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            raise ModelError(f"{file}: not a whole safetensors file ({error}); was the save interrupted?") from None
    return shapes


def _weight_files(folder: Path) -> list[Path]:
    index = folder / "model.safetensors.index.json"
    if index.exists():
        return [folder / name for name in sorted(set(json.loads(index.read_text())["weight_map"].values()))]
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise ModelError(f"{folder}: no *.safetensors weights to check")
    return files


def _base_folder(base: str) -> Path:
    if Path(base).is_dir():
        return Path(base)
    from huggingface_hub import snapshot_download

    return Path(snapshot_download(base, allow_patterns=["*.safetensors*"], local_files_only=True))


def _config(path: str) -> dict[str, Any]:
    return dict(json.loads((Path(path) / "config.json").read_text()))
