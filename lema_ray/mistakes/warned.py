"""Error-aware prompting (MWPES-300K, arXiv 2501.15581): the mistakes that are made most, as warnings in the prompt.

Which they are is read from what `lema analyze` counted. Called by `on_ray` for students and evaluations with
`error_aware`; `attempts.solve_prompt` shows the warnings.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from lema_ray.config import ConfigError, ErrorAwareConfig
from lema_ray.mistakes.taxonomy import Taxonomy, load_taxonomy


def warnings_of(config: ErrorAwareConfig | None) -> tuple[str, ...]:
    """The meanings of the most frequent error types of a distribution, the most frequent first; none without a config.

    Raises `ConfigError` for a file that is no distribution, a model that is not in it, or types it does not describe.
    """
    if config is None:
        return ()
    path = Path(config.distribution)
    data = _distribution(path)
    shares = data["shares"]["model"]
    groups = sorted({share["group"] for share in shares})
    if config.model is not None and config.model not in groups:
        raise ConfigError(f"error_aware.model: {path} has no model {config.model!r}; it has {', '.join(groups)}")
    counts: Counter[str] = Counter()
    for share in shares:
        if config.model in (None, share["group"]):
            counts[share["error_type"]] += share["count"]
    meanings = {kind.code: kind.meaning for kind in _types(path, data).types}
    known = [(code, n) for code, n in counts.most_common() if code in meanings and n > 0]
    if not known:
        raise ConfigError(f"error_aware.distribution: {path} has no mistake of a type that its taxonomy describes")
    return tuple(meanings[code] for code, _ in known[: config.types])


def _distribution(path: Path) -> dict[str, Any]:
    hint = "name the .json that `lema analyze` leaves in a run's analyzed/<taxonomy>/"
    try:
        data = json.loads(path.read_text())
        if data["taxonomy"] and data["shares"]["model"]:
            return dict(data)
    except FileNotFoundError:
        raise ConfigError(f"error_aware.distribution: there is no {path}; {hint}") from None
    except (ValueError, LookupError, TypeError, OSError):
        pass
    raise ConfigError(f"error_aware.distribution: {path} is no distribution of error types; {hint}")


def _types(path: Path, data: dict[str, Any]) -> Taxonomy:
    """The types that were counted: the file that lies beside the distribution, else the shipped ones of that name."""
    beside = path.with_name(f"{path.stem}-types.yaml")
    return load_taxonomy(str(beside) if beside.exists() else data["taxonomy"])
