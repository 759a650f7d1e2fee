"""Several rounds of one config: each is a run of its own whose student is the model of the round before.

`on_ray.flow` and `jobs/run.py` walk them. Where a round leaves its model is known before it has run, so all configs are
made at once, and a run that was interrupted finds its rounds again.
"""

from __future__ import annotations

from lema_ray.config.collect import QuestionsConfig
from lema_ray.config.engines import VLLMSpec
from lema_ray.config.run import RoundsConfig, RunConfig
from lema_ray.config.section import ConfigError


def round_configs(config: RunConfig) -> list[RunConfig]:
    """One config a round, called `<name>-r1` and so on; for a single round the config itself.

    From the second on, the first vLLM student is the model that the round before trained, and training starts from
    `rounds.start`; a corrector with that student's very settings is the student itself, and becomes that model too.
    Each has another seed, and asks the same questions. Raises `ConfigError` where no student could be replaced.
    """
    if config.rounds.count == 1:
        return [config]
    learner = next((n for n, s in enumerate(config.students) if isinstance(s.engine, VLLMSpec)), None)
    if learner is None:
        raise ConfigError("rounds: no student is a vLLM model, so none could be replaced by the trained one")
    base = config.train.base or config.students[learner].engine.model
    made: list[RunConfig] = []
    for number in range(1, config.rounds.count + 1):
        before = f"{made[-1].folder}/models/{_arm(config)}" if made else None
        made.append(_round(config, number, learner, before, base))
    return made


def _round(config: RunConfig, number: int, learner: int, before: str | None, base: str) -> RunConfig:
    start = before if before and config.rounds.start == "last" else base
    changes = {
        "name": f"{config.name}-r{number}",
        "seed": config.seed + number - 1,
        "questions": _asked_again(config.questions, number - 1),
        "rounds": RoundsConfig(),
        "train": config.train.model_copy(update={"base": start}),
    }
    if before:
        students, old = list(config.students), config.students[learner].engine
        engine = old.model_copy(update={"model": before})
        students[learner] = students[learner].model_copy(update={"engine": engine})
        changes["students"] = tuple(students)
        if config.corrector.engine == old:
            changes["corrector"] = config.corrector.model_copy(update={"engine": engine})
    return config.model_copy(update=changes)


def _asked_again(questions: QuestionsConfig, shift: int) -> QuestionsConfig:
    """A generator adds the run's seed to its own: its own takes back by what a round's seed is higher.

    With other questions no two rounds could be compared, and one could learn from what another is examined on.
    """
    sources = {"train": questions.train} | ({"test": questions.test} if questions.test else {})
    return questions.model_copy(
        update={split: s.model_copy(update={"seed": s.seed - shift}) for split, s in sources.items()}
    )


def _arm(config: RunConfig) -> str:
    return config.rounds.arm or list(config.build.arms)[-1]
