"""The endpoints of a run: servers that its config launches, and whether the others are there.

Called by `on_ray.flow` and by the commands that ask a corrector without the flow.
"""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from lema_ray.config import OpenAISpec, RunConfig, StudentConfig
from lema_ray.engines import open_engine
from lema_ray.runs import RunFolder


def launched_config(config: RunConfig, run: RunFolder, stack: ExitStack) -> RunConfig:
    """The config with every `launch` server started for as long as `stack` is open, and its address filled in."""
    from lema_ray.engines.launch import launched

    # A server writes its log with plain files; a run on object storage keeps it beside the driver.
    logs = Path(tempfile.mkdtemp(prefix="lema-")) if run.in_bucket else Path(run.root, "logs")
    logs.mkdir(parents=True, exist_ok=True)

    def start(engine: Any, name: str) -> Any:
        if not isinstance(engine, OpenAISpec) or not engine.launch:
            return engine
        return stack.enter_context(launched(engine, logs / f"{name}.log"))

    def start_all(models: tuple[StudentConfig, ...], role: str) -> tuple[StudentConfig, ...]:
        return tuple(m.model_copy(update={"engine": start(m.engine, f"{role}-{i}")}) for i, m in enumerate(models))

    corrector = config.corrector.model_copy(update={"engine": start(config.corrector.engine, "corrector")})
    students, writers = start_all(config.students, "student"), start_all(config.writers, "writer")
    return config.model_copy(update={"corrector": corrector, "students": students, "writers": writers})


async def open_and_close(spec: OpenAISpec) -> None:
    """Ask an endpoint whether it is there, takes the key and has the model. Raises `EngineUnavailable`."""
    engine = open_engine(spec)
    try:
        await engine.start()
    finally:
        await engine.close()
