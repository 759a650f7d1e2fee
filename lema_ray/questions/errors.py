"""The one error of `questions`: a source that cannot be used. Raised by every module here, shown by the CLI."""

from lema_ray.errors import LemaError


class QuestionError(LemaError):
    """Questions cannot be read, or may not be used together; the message says where and what to do."""
