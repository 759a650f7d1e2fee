"""The run and its stages as commands: run, estimate, collect, build, train, evaluate, report, evolve."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated

import typer

from lema_ray.cli.app import ConfigFile, Overrides, RedoChanged, app, load, open_flow, run_folder

if TYPE_CHECKING:
    from lema_ray.config import RunConfig
    from lema_ray.on_ray.flow import Flow


@app.command()
def run(
    config: ConfigFile,
    overrides: Overrides = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="print config, plan and first prompts; do nothing")
    ] = False,
    redo_changed: RedoChanged = False,
) -> None:
    """The whole flow: questions, collect, build, train, evaluate, report."""
    if dry_run:
        _dry_run(load(config, overrides))
        return
    from lema_ray.on_ray.flow import run_all

    print(run_all(load(config, overrides), redo_changed))


@app.command()
def estimate(
    config: ConfigFile,
    overrides: Overrides = None,
    probe: Annotated[int, typer.Option(help="calls to pay for at each endpoint, for a narrower range")] = 0,
) -> None:
    """Requests, tokens, time and money of a run as ranges, before anything is spent."""
    from tempfile import mkdtemp

    from lema_ray.on_ray.launching import launched_config
    from lema_ray.planning.estimate import estimate as estimated
    from lema_ray.runs import RunFolder

    loaded = load(config, overrides)
    with ExitStack() as stack:
        print(estimated(launched_config(loaded, RunFolder(mkdtemp()), stack) if probe else loaded, probe)[0])


@app.command()
def collect(config: ConfigFile, overrides: Overrides = None, redo_changed: RedoChanged = False) -> None:
    """Sample attempts, grade them, and have the mistakes corrected."""
    flow = open_flow(config, overrides, redo_changed)
    flow.questions()
    flow.collect()


@app.command()
def build(
    config: ConfigFile,
    overrides: Overrides = None,
    variants: Annotated[
        bool, typer.Option("--variants", help="try the config's mixes of an arm first, and build the best")
    ] = False,
    redo_changed: RedoChanged = False,
) -> None:
    """Turn collected corrections and solutions into training sets, one per arm."""
    open_flow(config, overrides, redo_changed).build(variants=variants)


@app.command()
def train(
    config: ConfigFile,
    overrides: Overrides = None,
    preview: Annotated[bool, typer.Option("--preview", help="show which tokens are learned, and stop")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="memory by GPU, preset, steps and time; and stop")] = False,
    gpus: Annotated[int | None, typer.Option(help="plan for so many GPUs (--dry-run)")] = None,
    gpu_memory: Annotated[float | None, typer.Option(help="of so many GB each (--dry-run)")] = None,
    gpu: Annotated[str | None, typer.Option(help="such as H100, for the time (--dry-run)")] = None,
    host_memory: Annotated[float, typer.Option(help="GB of a host, for offloading (--dry-run)")] = 256,
    redo_changed: RedoChanged = False,
) -> None:
    """Fine-tune one model per arm with DeepSpeed, and prove that each loads in vLLM."""
    if dry_run:
        from lema_ray.planning.training import Machines, plan_of

        asked = Machines(gpus or 1, gpu_memory, host_memory, gpu) if gpu_memory else None
        print(plan_of(load(config, overrides), asked))
        return
    flow = open_flow(config, overrides, redo_changed)
    if preview:
        _preview(flow)
    else:
        flow.train()


@app.command()
def evaluate(config: ConfigFile, overrides: Overrides = None, redo_changed: RedoChanged = False) -> None:
    """Examine the base, the trained models and those of `evaluate.models` on the held-out questions."""
    flow = open_flow(config, overrides, redo_changed)
    if not flow.config.evaluate.trained:
        flow.questions()
    flow.evaluate()


@app.command()
def report(folder: Annotated[str, typer.Argument(help="a run folder, at any stage of the run")]) -> None:
    """Write report.html for a run."""
    from lema_ray.report import write_report

    print(write_report(run_folder(folder)))


@app.command()
def evolve(
    config: ConfigFile,
    overrides: Overrides = None,
    count: Annotated[int, typer.Option(help="new questions to ask for")] = 1000,
) -> None:
    """LeMa's correction-centric evolution: new questions like those whose mistakes could be corrected."""
    from lema_ray.on_ray.evolve import evolve_run

    print(evolve_run(load(config, overrides), count))


def _dry_run(config: RunConfig) -> None:
    import yaml

    from lema_ray.planning.estimate import dry_run
    from lema_ray.planning.training import plan_of

    print(yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True))
    print(dry_run(config))
    print(plan_of(config))


def _preview(flow: Flow) -> None:
    from lema_ray.training.preflight import preflight

    print(preflight(flow.config, flow.run, flow.base))
