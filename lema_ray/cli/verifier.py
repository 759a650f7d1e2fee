"""`lema train-verifier`."""

from __future__ import annotations

from lema_ray.cli.app import ConfigFile, Overrides, app, open_flow


@app.command()
def train_verifier(config: ConfigFile, overrides: Overrides = None) -> None:
    """Train a verifier on a run's graded attempts, and say how good it is on held-out questions."""
    from lema_ray.on_ray.verifier import describe

    print(describe(open_flow(config, overrides).verifier()))
