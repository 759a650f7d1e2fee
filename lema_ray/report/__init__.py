"""The run report: one self-contained page about whatever a run folder holds, and the sentence that says what it showed.

`lema report`, `on_ray.flow` and `jobs/` call `write_report` and `headline`.
"""

from lema_ray.report.headline import headline
from lema_ray.report.page import write_report

__all__ = ["headline", "write_report"]
