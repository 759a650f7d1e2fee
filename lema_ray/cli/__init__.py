"""The `lema` command. Each command loads the config, then imports what it needs: `lema --help` answers at once."""

from __future__ import annotations

import sys

from lema_ray.cli import cluster, collusion, methods, serve, stages, tools, verifier  # noqa: F401  (they register their commands)
from lema_ray.cli.app import app


def main() -> None:
    """Entry point: errors that the user can put right are one message; the rest keep their trace."""
    from lema_ray.errors import LemaError, explain_os_error

    try:
        app()
    except LemaError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        explained = explain_os_error(error)
        if explained is None:
            raise
        print(f"error: {explained}", file=sys.stderr)
        sys.exit(1)
