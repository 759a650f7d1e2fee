"""What every step of the build raises."""

from lema_ray.errors import LemaError


class BuildError(LemaError):
    """The training sets cannot be built as asked; the message has the numbers and says what to do."""
