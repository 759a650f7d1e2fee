"""Error analysis over a run: rows with mistakes -> corrector pool -> analyzed/, and the distribution of types.

Called by `lema analyze`. Rows come from `collected/`, or from `evaluations/`, so that models can be compared before and
after training. A question that is in the sink is not asked about again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from lema_ray.config import ConfigError, CorrectorConfig, RunConfig
from lema_ray.engines import open_engine
from lema_ray.mistakes.analysis import STAGE, Analyzer, analyze_question
from lema_ray.mistakes.distribution import count_distribution, to_json, to_markdown
from lema_ray.mistakes.open_taxonomy import count_names, grow_taxonomy, with_types
from lema_ray.mistakes.taxonomy import Taxonomy, to_yaml
from lema_ray.on_ray.ask_corrector import ask_corrector
from lema_ray.on_ray.cluster import Pool, check_plan, connect
from lema_ray.on_ray.flow import Flow
from lema_ray.on_ray.launching import launched_config
from lema_ray.records import GradedQuestion
from lema_ray.runs import RunFolder


def analyze_run(config: RunConfig, of: str = "collected", taxonomy: str | None = None) -> str:
    """Analyse every mistake of `collected` or `evaluations` rows; returns the distribution as Markdown.

    Writes rows, `<of>.json` and `<of>.md` below `analyzed/<taxonomy>/`; `taxonomy` takes the place of the config's.
    Raises `ConfigError` when there are no such rows.
    """
    flow = Flow(config)
    names = flow.run.files(of, suffix=".parquet")
    if of not in ("collected", "evaluations") or not names:
        raise ConfigError(
            f"{flow.run.root} has no rows in {of}/; run the stage that writes it (collect, evaluate) first"
        )
    analyzer = Analyzer(config.recipe.analysis.model_copy(update={"taxonomy": taxonomy} if taxonomy else {}))
    sinks = _sinks(of, names, ("analyzed", Path(analyzer.config.taxonomy).stem))
    _ = analyzer.taxonomy
    flow.check_engines()
    connect(config)
    check_plan(STAGE, [Pool("corrector", config.corrector.actors)])
    work: Any = partial(analyze_question, analyzer=analyzer)
    with ExitStack() as stack:
        launched = launched_config(config, flow.run, stack)
        for part, sink in sinks.items():
            ask_corrector(launched, flow.run, part, sink, work, STAGE)
        types = _types(launched.corrector, analyzer, flow.run, list(sinks.values()), config.seed)
    rows = _analyzed(flow.run, list(sinks.values()))
    data = to_json(count_distribution(with_types(row, types) for row in rows), types)
    return _write(flow.run, data, ("analyzed", Path(analyzer.config.taxonomy).stem, of), types)


def _sinks(of: str, names: list[str], folder: tuple[str, ...]) -> dict[tuple[str, ...], tuple[str, ...]]:
    """Where the rows of each part go: `collected` as a whole, evaluations one by one."""
    if of == "collected":
        return {(of,): (*folder, of)}
    return {(of, name): (*folder, of, name.removesuffix(".parquet")) for name in names}


def _analyzed(run: RunFolder, sinks: list[tuple[str, ...]]) -> Iterator[GradedQuestion]:
    for sink in sinks:
        yield from run.read_records(GradedQuestion, *sink)


def _types(
    corrector: CorrectorConfig, analyzer: Analyzer, run: RunFolder, sinks: list[tuple[str, ...]], seed: int
) -> Taxonomy:
    """The configured taxonomy; with `open` the one that the names in the rows grow into."""
    if analyzer.taxonomy.types:
        return analyzer.taxonomy
    names, examples = count_names(_analyzed(run, sinks))
    sampling = analyzer.config.sampling.model_copy(update={"max_tokens": 4096})

    async def grow() -> Taxonomy:
        engine = open_engine(corrector.engine)
        await engine.start()
        try:
            grown, unsorted = await grow_taxonomy(names, examples, engine, sampling, seed)
        finally:
            await engine.close()
        print(f"{len(grown.types)} types from {len(names)} names; {len(unsorted)} could not be sorted", flush=True)
        return grown

    return asyncio.run(grow())


def _write(run: RunFolder, data: dict[str, Any], where: tuple[str, ...], types: Taxonomy) -> str:
    """The distribution as JSON and Markdown, and the types that it counts, for later runs to take."""
    *folder, name = where
    run.write_json(data, *folder, f"{name}.json")
    run.write_text(to_yaml(types), *folder, f"{name}-types.yaml")
    text = to_markdown(data)
    run.write_text(text, *folder, f"{name}.md")
    return text
