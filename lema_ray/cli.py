"""The `lema` command. Each command loads the config, then imports what it needs: `lema --help` answers at once."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from lema_ray.config import RunConfig
    from lema_ray.on_ray.flow import Flow
    from lema_ray.runs import RunFolder

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Turn a language model's own mistakes into a better, self-correcting model.",
)

ConfigFile = Annotated[Path, typer.Argument(help="the run's YAML file", show_default=False)]
Overrides = Annotated[
    list[str] | None, typer.Argument(help="dotted overrides: students.0.samples=8", show_default=False)
]


def main() -> None:
    """Entry point: errors that the user can put right are one message; the rest keep their trace."""
    from lema_ray.errors import LemaError, explain_os_error

    try:
        app()
    except LemaError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        explained = explain_os_error(error)
        if explained is None:
            raise
        print(f"error: {explained}", file=sys.stderr)
        sys.exit(1)


@app.command()
def run(
    config: ConfigFile,
    overrides: Overrides = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="print config, plan and first prompts; do nothing")
    ] = False,
) -> None:
    """The whole flow: questions, collect, build, train, evaluate, report."""
    if dry_run:
        _dry_run(_load(config, overrides))
        return
    from lema_ray.on_ray.flow import run_all

    print(run_all(_load(config, overrides)))


@app.command()
def estimate(
    config: ConfigFile,
    overrides: Overrides = None,
    probe: Annotated[int, typer.Option(help="calls to pay for at each endpoint, for a narrower range")] = 0,
) -> None:
    """Requests, tokens, time and money of a run as ranges, before anything is spent."""
    from contextlib import ExitStack
    from tempfile import mkdtemp

    from lema_ray.estimate import estimate as estimated
    from lema_ray.on_ray.flow import launched_config
    from lema_ray.runs import RunFolder

    loaded = _load(config, overrides)
    with ExitStack() as stack:
        print(estimated(launched_config(loaded, RunFolder(mkdtemp()), stack) if probe else loaded, probe)[0])


@app.command()
def collect(config: ConfigFile, overrides: Overrides = None) -> None:
    """Sample attempts, grade them, and have the mistakes corrected."""
    flow = _flow(config, overrides)
    flow.questions()
    flow.collect()


@app.command()
def build(config: ConfigFile, overrides: Overrides = None) -> None:
    """Turn collected corrections and solutions into training sets, one per arm."""
    _flow(config, overrides).build()


@app.command()
def train(
    config: ConfigFile,
    overrides: Overrides = None,
    preview: Annotated[bool, typer.Option("--preview", help="show which tokens are learned, and stop")] = False,
) -> None:
    """Fine-tune one model per arm with DeepSpeed, and prove that each loads in vLLM."""
    flow = _flow(config, overrides)
    if preview:
        _preview(flow)
    else:
        flow.train()


@app.command()
def evaluate(config: ConfigFile, overrides: Overrides = None) -> None:
    """Examine the base, the trained models and those of `evaluate.models` on the held-out questions."""
    flow = _flow(config, overrides)
    if not flow.config.evaluate.trained:
        flow.questions()
    flow.evaluate()


@app.command()
def report(folder: Annotated[str, typer.Argument(help="a run folder, at any stage of the run")]) -> None:
    """Write report.html for a run."""
    from lema_ray.report import write_report

    print(write_report(_run_folder(folder)))


@app.command()
def audit(
    folder: Annotated[str, typer.Argument(help="a run folder with collected attempts, at any stage of the run")],
    second: Annotated[bool, typer.Option(help="let a second comparison judge a sample of the verdicts")] = True,
) -> None:
    """How sure the grades of a run are, and which mistakes may be none: read it before spending on corrections."""
    from lema_ray.audit import audit_lines, audit_run

    print("\n".join(audit_lines(audit_run(_run_folder(folder), second))))


@app.command()
def review(
    folder: Annotated[str, typer.Argument(help="a run folder with collected attempts")],
    decide: Annotated[list[str] | None, typer.Option(help="ID=keep, ID=drop, ID=fix or ID=fix:REFERENCE")] = None,
) -> None:
    """Decide about the references that most attempts contradict; decisions are saved in review/decisions.jsonl."""
    from lema_ray.audit import audit_run
    from lema_ray.review import FILE, ask_all
    from lema_ray.review import decide as save

    found = _run_folder(folder)
    audited = audit_run(found, second=False)
    asked = save(found, audited, decide) if decide else ask_all(found, audited, lambda text: input(f"{text}: "), print)
    print(f"{asked} of {audited.doubtful_references} decided, in {found.uri(*FILE)}; use them by questions.reviewed")


@app.command()
def compare(
    folders: Annotated[list[str], typer.Argument(help="run folders with evaluations")],
    out: Annotated[str | None, typer.Option(help="folder for compare.html and two CSV files")] = None,
) -> None:
    """Compare the models of several runs, paired question by question."""
    from lema_ray.compare_runs import compare_runs, lines, write_comparison

    found = compare_runs(folders)
    print("\n".join(lines(found)))
    if out:
        print(write_comparison(found, out))


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
def doctor(
    config: Annotated[Path | None, typer.Argument(help="a run's YAML file to check against this machine")] = None,
    overrides: Overrides = None,
) -> None:
    """What this machine can do: versions, CPU, GPU, memory, disk, endpoint, and whether a run's plan fits."""
    from lema_ray.doctor import examine

    sys.exit(examine(_load(config, overrides) if config else None))


@app.command()
def evolve(
    config: ConfigFile,
    overrides: Overrides = None,
    count: Annotated[int, typer.Option(help="new questions to ask for")] = 1000,
) -> None:
    """LeMa's correction-centric evolution: new questions like those whose mistakes could be corrected."""
    from lema_ray.on_ray.evolve import evolve_run

    print(evolve_run(_load(config, overrides), count))


@app.command(
    "fault-server", context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
)
def fault_server(context: typer.Context) -> None:
    """An OpenAI-compatible server that fails on purpose; `lema fault-server --help` has its options."""
    from lema_ray.demo.server import main as serve

    serve(context.args)


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

    print(analyze_run(_load(config, overrides), of, taxonomy))


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
    from lema_ray.measure_corrector import measure_corrector

    print(measure_corrector(_load(config, overrides), labelled or [], limit, out))


def _run_folder(folder: str) -> RunFolder:
    from lema_ray.config import ConfigError
    from lema_ray.runs import RunFolder

    found = RunFolder(folder)
    if not found.exists("config.yaml"):
        raise ConfigError(f"{found.root} is not a run folder: it has no config.yaml")
    return found


def _load(config: Path, overrides: list[str] | None) -> RunConfig:
    from lema_ray.config import load_config

    return load_config(config, overrides or ())


def _flow(config: Path, overrides: list[str] | None) -> Flow:
    from lema_ray.on_ray.flow import Flow

    return Flow(_load(config, overrides))


def _dry_run(config: RunConfig) -> None:
    import yaml

    from lema_ray.estimate import dry_run

    print(yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True))
    print(dry_run(config))


def _preview(flow: Flow) -> None:
    from lema_ray.masking import preview_arms

    print(preview_arms(flow.run, flow.base, list(flow.config.build.arms)))


if __name__ == "__main__":
    main()
