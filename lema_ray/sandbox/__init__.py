"""Programs that nobody has read, run where they can do no harm. Used by `grading` and by recipes.

`run_program` is one fresh process in namespaces of its own (util-linux `unshare`): no network, no files but the
interpreter's, no other processes, no environment, limits on everything. Results are values that the caller compares.
"""

from lema_ray.sandbox.command import SandboxUnavailable
from lema_ray.sandbox.running import Ran, Result, check_sandbox, run_program

__all__ = ["Ran", "Result", "SandboxUnavailable", "check_sandbox", "run_program"]
