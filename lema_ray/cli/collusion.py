"""`lema collusion`."""

from __future__ import annotations

from typing import Annotated

import typer

from lema_ray.cli.app import app, run_folder


@app.command()
def collusion(folder: Annotated[str, typer.Argument(help="a run folder of the recipe solver_verifier")]) -> None:
    """How often solutions and tests that agree are wrong by the questions' own tests, and what was dropped."""
    from lema_ray.recipes.collusion import count_collusion
    from lema_ray.records import GradedQuestion

    print(count_collusion(run_folder(folder).read_records(GradedQuestion, "collected")))
