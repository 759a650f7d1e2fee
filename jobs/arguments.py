"""What every file of `jobs/` starts with: `--config FILE` and dotted overrides from the command line."""

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from lema_ray.config import RunConfig, load_config
from lema_ray.errors import LemaError, explain_os_error
from lema_ray.on_ray.same_versions import check_same_versions


def config_from_command_line(description: str | None) -> RunConfig:
    """The run that this job was asked to do. Raises `ConfigError`, also when another version submitted it."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", required=True, help="the run's YAML file")
    parser.add_argument("overrides", nargs="*", help="dotted.key=value")
    arguments = parser.parse_args()
    check_same_versions()
    return load_config(arguments.config, arguments.overrides)


@contextmanager
def errors_as_messages() -> Iterator[None]:
    """What the user can put right ends the job with one message and a failure; anything else keeps its trace."""
    try:
        yield
    except LemaError as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        if (explained := explain_os_error(error)) is None:
            raise
        sys.exit(f"error: {explained}")
