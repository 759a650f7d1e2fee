"""Which student the recipes of a run ask beside the corrector, and whether it can do what they need.

Asked for before anything starts, by the plan, the flow and the pools of `on_ray`.
"""

from __future__ import annotations

from lema_ray.config import ConfigError, EngineSpec, OpenAISpec, RunConfig, StudentConfig, VLLMSpec
from lema_ray.recipes import AsksStudent, open_recipe


def asked_student(config: RunConfig) -> StudentConfig | None:
    """The run's first student where a recipe asks one, None where none does.

    Raises `ConfigError` when a recipe does not exist, when there is no student to ask, when it cannot go on with a
    solution that is begun though a recipe needs that, and when it does not fit beside the corrector.
    """
    opened = [open_recipe(settings) for settings in config.recipes]
    asking = [r for r in opened if isinstance(r, AsksStudent) and r.student_requests(1) > 0]
    if not asking:
        return None
    names = ", ".join(recipe.name for recipe in asking)
    if not config.students:
        raise ConfigError(f"recipe {names} asks the student, and this run has none: add one to students")
    engine = config.students[0].engine
    _fits_beside(config.corrector.engine, engine, names)
    continuing = ", ".join(recipe.name for recipe in asking if recipe.continues_student())
    if continuing and isinstance(engine, OpenAISpec) and not engine.can_continue:
        raise ConfigError(
            f"recipe {continuing} has the student go on with solutions that are begun, and students.0.engine (openai) "
            "answers messages only. Set can_continue: true if its server is vLLM or SGLang, or take a vllm engine."
        )
    return config.students[0]


def _fits_beside(corrector: EngineSpec, student: EngineSpec, names: str) -> None:
    if not (isinstance(corrector, VLLMSpec) and isinstance(student, VLLMSpec)) or corrector == student:
        return
    if not (corrector.in_process is False and student.in_process is False):
        raise ConfigError(
            f"recipe {names} asks student and corrector in one actor, and two vLLM engines in one process do not "
            "work. Set in_process: false in both, give both the same settings, or serve one behind an endpoint."
        )
