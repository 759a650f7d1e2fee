"""Commands that look at questions, grades, mistakes, models and machines."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from lema_ray.cli.app import ConfigFile, Overrides, app, load, open_flow, run_folder


@app.command()
def questions(
    source: Annotated[str, typer.Argument(help="a run's YAML file, or the name of a source such as gsm8k or files")],
    settings: Annotated[
        list[str] | None, typer.Argument(help="for a YAML: overrides; for a source: path=..., limit=...")
    ] = None,
) -> None:
    """Check a source: counts, and every row whose own reference answer does not grade right."""
    from lema_ray.check_questions import check_sources

    sys.exit(check_sources(source, settings or []))


@app.command()
def audit(
    folder: Annotated[str, typer.Argument(help="a run folder with collected attempts, at any stage of the run")],
    second: Annotated[bool, typer.Option(help="let a second comparison judge a sample of the verdicts")] = True,
) -> None:
    """How sure the grades of a run are, and which mistakes may be none: read it before spending on corrections."""
    from lema_ray.audit import audit_lines, audit_run

    print("\n".join(audit_lines(audit_run(run_folder(folder), second))))


@app.command()
def review(
    folder: Annotated[str, typer.Argument(help="a run folder with collected attempts")],
    decide: Annotated[list[str] | None, typer.Option(help="ID=keep, ID=drop, ID=fix or ID=fix:REFERENCE")] = None,
) -> None:
    """Decide about the references that most attempts contradict; decisions are saved in review/decisions.jsonl."""
    from lema_ray.audit import audit_run
    from lema_ray.review import FILE, ask_all
    from lema_ray.review import decide as save

    found = run_folder(folder)
    audited = audit_run(found, second=False)
    asked = save(found, audited, decide) if decide else ask_all(found, audited, lambda text: input(f"{text}: "), print)
    print(f"{asked} of {audited.doubtful_references} decided, in {found.uri(*FILE)}; use them by questions.reviewed")


@app.command()
def compare(
    folders: Annotated[list[str], typer.Argument(help="run folders with evaluations")],
    out: Annotated[str | None, typer.Option(help="folder for compare.html and two CSV files")] = None,
) -> None:
    """Compare the models of several runs, paired question by question."""
    from lema_ray.evaluation.compare_runs import compare_runs, lines, write_comparison

    found = compare_runs(folders)
    print("\n".join(lines(found)))
    if out:
        print(write_comparison(found, out))


@app.command()
def analyze(
    config: ConfigFile,
    overrides: Overrides = None,
    of: Annotated[str, typer.Option(help="whose mistakes: collected, or evaluations")] = "collected",
    taxonomy: Annotated[
        str | None, typer.Option(help="another than the config's: a YAML file, or open, to let types grow")
    ] = None,
) -> None:
    """First wrong step and error type of every mistake, and how the types are distributed."""
    from lema_ray.on_ray.analyze import analyze_run

    print(analyze_run(load(config, overrides), of, taxonomy))


@app.command()
def score_corrector(
    config: ConfigFile,
    overrides: Overrides = None,
    labelled: Annotated[
        list[Path] | None, typer.Option(help="JSONL with problem, steps and label; may be repeated", show_default=False)
    ] = None,
    limit: Annotated[int | None, typer.Option(help="at most so many rows of each file")] = None,
    out: Annotated[Path | None, typer.Option(help="also write every measure to this JSON file")] = None,
) -> None:
    """Measure a config's corrector against labelled solutions: first wrong step, error type, calibration."""
    from lema_ray.mistakes.measure_corrector import measure_corrector

    print(measure_corrector(load(config, overrides), labelled or [], limit, out))


@app.command()
def doctor(
    config: Annotated[Path | None, typer.Argument(help="a run's YAML file to check against this machine")] = None,
    overrides: Overrides = None,
) -> None:
    """What this machine can do: versions, CPU, GPU, memory, disk, endpoint, and whether a run's plan fits."""
    from lema_ray.doctor import examine

    sys.exit(examine(load(config, overrides) if config else None))


@app.command(
    "fault-server", context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
)
def fault_server(context: typer.Context) -> None:
    """An OpenAI-compatible server that fails on purpose; `lema fault-server --help` has its options."""
    from lema_ray.demo.server import main as serve

    serve(context.args)


@app.command()
def perplexity(
    config: ConfigFile,
    overrides: Overrides = None,
    limit: Annotated[int, typer.Option(help="at most so many held-out questions")] = 200,
) -> None:
    """How much less likely each model finds a wrong solution than a right one, before and after training."""
    from lema_ray.evaluation.perplexity import perplexity_run
    from lema_ray.models import resolve_model

    flow = open_flow(config, overrides)
    trained = {arm: flow.run.uri("models", arm) for arm in flow.config.build.arms if flow.run.exists("models", arm)}
    models = {name: resolve_model(model) for name, model in ({"base": flow.base} | trained).items()}
    print(perplexity_run(flow.run, models, limit))
