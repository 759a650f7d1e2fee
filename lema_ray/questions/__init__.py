"""Questions: from files, the hub, named sets or generators to records with a checkable answer.

`prepare_questions` and `prepare_attempts` fill the run folder's `questions/`; `lema questions` is `check_source`.
"""

from lema_ray.questions.check import Mismatch, SourceCheck, check_source
from lema_ray.questions.counts import SplitReport
from lema_ray.questions.errors import QuestionError
from lema_ray.questions.grouping import AttemptsReport, prepare_attempts
from lema_ray.questions.imported import read_attempts
from lema_ray.questions.prepare import QuestionsReport, prepare_questions
from lema_ray.questions.read import read_questions
from lema_ray.questions.sources import NAMED

__all__ = [
    "NAMED",
    "AttemptsReport",
    "Mismatch",
    "QuestionError",
    "QuestionsReport",
    "SourceCheck",
    "SplitReport",
    "check_source",
    "prepare_attempts",
    "prepare_questions",
    "read_attempts",
    "read_questions",
]
