"""What the commands share: the application, its arguments, and how they load a config or a run folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from lema_ray.config import RunConfig
    from lema_ray.on_ray.flow import Flow
    from lema_ray.runs import RunFolder


app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Turn a language model's own mistakes into a better, self-correcting model.",
)

ConfigFile = Annotated[Path, typer.Argument(help="the run's YAML file", show_default=False)]
Overrides = Annotated[
    list[str] | None, typer.Argument(help="dotted overrides: students.0.samples=8", show_default=False)
]
RedoChanged = Annotated[
    bool, typer.Option("--redo-changed", help="the config changed: do the stages that it touches again")
]


def run_folder(folder: str) -> RunFolder:
    """An existing run folder. Raises `ConfigError`."""
    from lema_ray.config import ConfigError
    from lema_ray.runs import RunFolder

    found = RunFolder(folder)
    if not found.exists("config.yaml"):
        raise ConfigError(f"{found.root} is not a run folder: it has no config.yaml")
    return found


def load(config: Path, overrides: list[str] | None) -> RunConfig:
    """The config of a run with its overrides. Raises `ConfigError`."""
    from lema_ray.config import load_config

    return load_config(config, overrides or ())


def open_flow(config: Path, overrides: list[str] | None, redo_changed: bool = False) -> Flow:
    """The stages of a config's run."""
    from lema_ray.on_ray.flow import Flow

    return Flow(load(config, overrides), redo_changed)
