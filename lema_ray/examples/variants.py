"""Mixes of one arm: the trial run that trains each of them for a moment, and the config with the one that was best.

Data sets chosen by their dev score are what is taken over of arXiv 2503.06664. The trial is a run of its own beside the
run, `<name>-variants`: it builds from the run's collected questions, and its test questions are training questions of
the run that no row is made of (`build.dev_fraction`). Called by `on_ray.variants`, which walks it.
"""

from __future__ import annotations

from typing import Any

from lema_ray.config import ArmConfig, ConfigError, RoundsConfig, RunConfig, VariantsConfig
from lema_ray.examples.candidates import in_dev
from lema_ray.examples.error import BuildError
from lema_ray.questions.store import writing_records
from lema_ray.records import GradedQuestion, Question
from lema_ray.runs import RunFolder


def asked_variants(config: RunConfig) -> tuple[str, VariantsConfig]:
    """The arm whose mix is to be chosen, and how. Raises `ConfigError`."""
    told = config.variants
    if told is None:
        raise ConfigError("variants: name some mixes to choose from, each like an arm of build.arms")
    arm = told.arm or list(config.build.arms)[-1]
    if arm not in config.build.arms:
        raise ConfigError(f"variants.arm: {arm!r} is not one of {', '.join(config.build.arms)}")
    return arm, told


def trial_config(config: RunConfig) -> RunConfig:
    """The trial's config: the mixes as arms, with what they are matched to, and as many steps for each.

    Raises `ConfigError` where a mix has the name of another arm, or nothing is held out.
    """
    _, told = asked_variants(config)
    if not config.build.dev_fraction:
        raise ConfigError("variants: build.dev_fraction is 0, so no question is held out to choose by")
    if same := sorted(told.mixes.keys() & config.build.arms.keys()):
        raise ConfigError(f"variants.mixes: {', '.join(same)} is the name of an arm already")
    arms = _with_matches(told.mixes, config.build.arms)
    trainer = config.train.trainer | {"max_steps": told.steps}
    changes = {
        "name": f"{config.name}-variants",
        "build": config.build.model_copy(update={"arms": arms, "exports": ()}),
        "train": config.train.model_copy(update={"trainer": trainer, "seeds": told.seeds}),
        "evaluate": config.evaluate.model_copy(update={"models": {}, "reuse": (), "trained": True}),
        "variants": None,
        "rounds": RoundsConfig(),
    }
    return config.model_copy(update=changes)


def _with_matches(mixes: dict[str, ArmConfig], arms: dict[str, ArmConfig]) -> dict[str, ArmConfig]:
    """The mixes, and before them the arms whose size they take."""
    needed, waiting = dict(mixes), list(mixes.values())
    while waiting:
        name = waiting.pop().match
        if name in arms and name not in needed:
            needed = {name: arms[name]} | needed
            waiting.append(arms[name])
    return needed


def write_held_out(config: RunConfig, collected: RunFolder, trial: RunFolder) -> dict[str, Any]:
    """The run's held-out questions as the trial's test questions. Raises `BuildError` when there is none."""
    limit, count = asked_variants(config)[1].questions, 0
    with writing_records(trial, Question, "questions", "test.parquet") as keep:
        for graded in collected.read_records(GradedQuestion, "collected", batch_rows=64):
            if in_dev(graded.question.id, config) and (limit is None or count < limit):
                keep(graded.question)
                count += 1
    if not count:
        raise BuildError("variants: no collected question is held out; raise build.dev_fraction")
    return {"test": {"questions": count}}


def with_mix(config: RunConfig, mix: str) -> RunConfig:
    """The run's config with that mix in the place of its arm."""
    arm, told = asked_variants(config)
    arms = config.build.arms | {arm: told.mixes[mix]}
    return config.model_copy(update={"build": config.build.model_copy(update={"arms": arms})})


def variants_section(tried: dict[str, Any] | None) -> str:
    """What the data card says of the mixes: how each did, which was taken, and how sure that is."""
    if tried is None:
        return ""
    rows = [
        f"| {'**' * (mix == tried['best'])}{mix}{'**' * (mix == tried['best'])} | {100 * s['pass_at_1']:.1f} % | "
        f"{100 * s['low']:.1f} to {100 * s['high']:.1f} % |"
        for mix, s in tried["scores"].items()
    ]
    pair, one = tried["against_next"], tried["scores"][tried["best"]]
    return "\n".join(
        (
            "## Mixes that were tried\n",
            f"Arm `{tried['arm']}` is the mix `{tried['best']}`, the best of these after {tried['steps']} steps of "
            f"training, by {one['questions']} held-out training questions ({tried['asked']}, seeds: {one['seeds']}). "
            f"Against `{pair['mix']}` {100 * pair['difference']:+.1f} points, 95 % interval {100 * pair['low']:+.1f} "
            f"to {100 * pair['high']:+.1f}, p {pair['p_value']:.3f}. The best of several is chance in part.\n",
            "| mix | pass@1 | 95 % interval |\n| --- | --- | --- |",
            *rows,
            "",
        )
    )
