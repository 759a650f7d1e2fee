"""`lema methods`."""

from __future__ import annotations

from typing import Annotated

import typer

from lema_ray.cli.app import app, run_folder


@app.command()
def methods(folder: Annotated[str, typer.Argument(help="a run folder that has been evaluated")]) -> None:
    """The arms beside one another as a table: accuracy, self-correction, tokens, and what their rows cost."""
    from lema_ray.report.methods import methods as lines
    from lema_ray.report.methods import read_requests
    from lema_ray.report.methods_table import markdown

    run = run_folder(folder)
    print("\n".join(markdown(lines(run, read_requests(run)))))
