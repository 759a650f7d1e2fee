"""The nouns of the project: frozen, typed records that flow from questions to the report.

Everything that crosses a stage, a process or a file is one of these. Each says who makes it and who
reads it. `lema_ray.arrow` derives an explicit Arrow schema from them, so a column of `None` keeps its type.
They are imported from here; which file of this folder holds one is nobody's business.
"""

from lema_ray.records.attempts import UNGRADED, Attempt, Grade, GradedAttempt, GradingMode, Origin, Verdict
from lema_ray.records.chat import Completion, FinishReason, Message, Role, Sampling
from lema_ray.records.corrections import Analysis, Correction, Dropped, Judgement, RecipeSpend
from lema_ray.records.graded_questions import GradedQuestion
from lema_ray.records.questions import Question, Task, Turn, content_id
from lema_ray.records.traces import Doubt, DoubtedBy, Draft, DraftKind, StopReason, Trace
from lema_ray.records.training_examples import UNFINISHED, Span, TrainingExample

__all__ = [
    "UNFINISHED",
    "UNGRADED",
    "Analysis",
    "Attempt",
    "Completion",
    "Correction",
    "Doubt",
    "DoubtedBy",
    "Draft",
    "DraftKind",
    "Dropped",
    "FinishReason",
    "Grade",
    "GradedAttempt",
    "GradedQuestion",
    "GradingMode",
    "Judgement",
    "Message",
    "Origin",
    "Question",
    "RecipeSpend",
    "Role",
    "Sampling",
    "Span",
    "StopReason",
    "Task",
    "Trace",
    "TrainingExample",
    "Turn",
    "Verdict",
    "content_id",
]
