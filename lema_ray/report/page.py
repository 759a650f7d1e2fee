"""The run report: one self-contained HTML page from whatever a run folder holds so far.

Called by the CLI at the end of a run and by `lema report` at any time: a part that has not run yet says so. The page
loads nothing from outside, and text that a model wrote reaches it only escaped: the template escapes everything, and a
content security policy forbids any script but ours.
"""

from __future__ import annotations

import base64
import hashlib
from contextlib import suppress
from importlib import resources
from typing import Any

import yaml

from lema_ray.audit import WHY, Audit
from lema_ray.config import ConfigError
from lema_ray.evaluation.scores import Comparison, evaluation_files, read_scores
from lema_ray.grading.pool import second_comparison
from lema_ray.mistakes.taxonomy import load_taxonomy
from lema_ray.records import GradedQuestion
from lema_ray.report.charts import interval_axis, loss_chart
from lema_ray.report.formats import count, duration, flatten, p_value, percent, points
from lema_ray.report.funnel import FATES, Funnel
from lema_ray.report.gallery import Gallery, exam_answers
from lema_ray.report.headline import claim_and_evidence, headline, main_comparison
from lema_ray.report.methods import Requests, methods
from lema_ray.report.methods_table import HEAD, cells
from lema_ray.runs import RunFolder

__all__ = ["headline", "render", "write_report"]

REASONS = {
    "cut_off": "the corrector's reply reached its token limit",
    "unreadable_reply": "the fields could not be read from the reply",
    "bad_step": "the cited step does not exist, or the solution starts after it",
    "prefix_changed": "steps before the wrong one were rewritten",
    "no_change": "the revision says the same as the attempt",
    "wrong_answer": "the revision's answer is graded wrong",
    "doubtful_reference": "most attempts agree on another answer than the reference (lema review)",
    "unsure_answer": "the grader could not tell whether the revision is right",
    "too_long": "longer than training takes; cutting it would lose the answer",
}


def write_report(run: RunFolder) -> str:
    """Write `report.html` into the run folder; returns its path or URI."""
    run.write_text(render(run), "report.html")
    return run.uri("report.html")


def render(run: RunFolder) -> str:
    """The whole page."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("lema_ray", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(percent=percent, points=points, duration=duration, count=count, p=p_value)
    script = _asset("page.js")
    allowed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assets = {"script": Markup(script), "style": Markup(_asset("page.css")), "script_hash": allowed}
    return environment.get_template("page.html").render(**assets, **gather(run))


def _kinds(config: dict[str, Any]) -> dict[str, str]:
    """Names of the error types that the run's corrections have as codes; a taxonomy that is gone leaves the codes."""
    names: dict[str, str] = {}
    for recipe in (config.get("recipe") or {}, *(config.get("more_recipes") or ())):
        with suppress(ConfigError):
            types = load_taxonomy((recipe.get("analysis") or {}).get("taxonomy", "lemma")).types
            names |= {kind.code: kind.name for kind in types}
    return names


def gather(run: RunFolder) -> dict[str, Any]:
    """Everything the template shows. Parts that have not run are None or empty."""
    config_text = run.read_text("config.yaml") if run.exists("config.yaml") else None
    config = yaml.safe_load(config_text) if config_text else {}
    manifest = run.manifest
    funnel, gallery, audit, requests = _collected(run, int(config.get("seed") or 0))
    return {
        "name": config.get("name") or run.root.rstrip("/").rsplit("/", 1)[-1],
        "config_text": config_text,
        "facts": dict(flatten({key: value for key, value in manifest.items() if key != "stages"})),
        **_built(run),
        "funnel": funnel,
        "taken_from": manifest.get("stages", {}).get("collect", {}).get("taken_from"),
        "fates": FATES,
        "flow": flow(funnel) if funnel else [],
        "wrong_steps": wrong_step_rows(funnel) if funnel else [],
        "examples": gallery.cards() if gallery else [],
        "reasons": REASONS,
        "kinds": _kinds(config),
        "audit": audit,
        "why": WHY,
        **_stages(manifest.get("stages", {})),
        **_models(run),
        "methods_head": HEAD,
        "methods": [cells(one) for one in methods(run, requests)] if _has_methods(run, config) else [],
        "tiles": tiles(funnel, manifest.get("stages", {})),
    }


def _has_methods(run: RunFolder, config: dict[str, Any]) -> bool:
    return run.exists("evaluations", "scores.json") and "arms" in config.get("build", {})


def _models(run: RunFolder) -> dict[str, Any]:
    """Scores, comparisons, held-out answers and loss curves, with one colour per model throughout."""
    scores, comparisons = read_scores(run)
    main, losses = main_comparison(scores, comparisons), _losses(run)
    models = list(dict.fromkeys([*(s.model for s in scores), *losses]))
    return {
        "headline": claim_and_evidence(scores, comparisons),
        "main": main,
        "scores": scores,
        "doubting": [s for s in scores if s.self_correction.get("doubt_rate") or s.policy != "off"],
        "models": models,
        "samplings": list(dict.fromkeys(s.sampling for s in scores)),
        "comparisons": comparisons,
        "score_axis": interval_axis([s.low for s in scores], [s.high for s in scores], floor=0.0, ceiling=1.0),
        "difference_axis": interval_axis([0.0, *(c.low for c in comparisons)], [0.0, *(c.high for c in comparisons)]),
        "answers": _answers(run, main),
        "losses": losses,
        "loss_chart": loss_chart(losses),
        "arm_series": {model: i % 6 for i, model in enumerate(models)},
    }


def _stages(notes: dict[str, dict[str, Any]]) -> dict[str, Any]:
    stages: dict[str, dict[str, Any]] = {
        stage: {
            "seconds": float(note.get("seconds") or 0.0),
            "counts": dict(flatten({key: value for key, value in note.items() if key != "seconds"})),
        }
        for stage, note in notes.items()
    }
    return {"stages": stages, "longest": max((note["seconds"] for note in stages.values()), default=0.0) or 1.0}


def flow(funnel: Funnel) -> list[tuple[str, int, int, str, list[tuple[str, int]]]]:
    """The bars of the funnel: label, number, number of the whole, note, coloured parts."""
    whole, fates, mistakes = funnel.attempts, funnel.fates, funnel.fates["wrong"]
    split = ", ".join(f"{fates[one]:,} {one} ({percent(fates[one] / max(whole, 1))})" for one in FATES if fates[one])
    unsent = mistakes - funnel.sent
    return [
        ("Questions", funnel.questions, 0, f"{funnel.unattempted:,} without an attempt" * bool(funnel.unattempted), []),
        ("Attempts", whole, whole, split, [(one, fates[one]) for one in FATES]),
        ("Mistakes", mistakes, whole, "wrong, and finished", [("wrong", mistakes)]),
        (
            "Sent to the corrector",
            funnel.sent,
            whole,
            f"{unsent:,} were not: copies of another mistake, or beyond the limit of a question" * bool(unsent),
            [("sent", funnel.sent)],
        ),
        (
            "Repaired",
            funnel.repaired,
            whole,
            f"{percent(funnel.repaired / max(funnel.sent, 1))} of those sent, "
            f"{funnel.corrections.total():,} accepted corrections",
            [("accepted", funnel.repaired)],
        ),
    ]


def wrong_step_rows(funnel: Funnel, most: int = 12) -> list[tuple[str, int, int]]:
    """(step, corrections of it, corrected attempts that have it); the far ones together in the last row."""
    last = max(funnel.wrong_steps, default=0)
    rows = [(str(i), funnel.wrong_steps[i], funnel.steps_reached[i]) for i in range(1, min(last, most) + 1)]
    far = sum(number for step, number in funnel.wrong_steps.items() if step > most)
    return [*rows, (f"{most + 1} and later", far, funnel.steps_reached[most + 1])] if far else rows


def tiles(funnel: Funnel | None, stages: dict[str, dict[str, Any]]) -> list[tuple[str, str, str]]:
    """The key figures under the headline: label, value, note."""
    seconds = sum(float(note.get("seconds") or 0.0) for note in stages.values())
    time = ("Time", duration(seconds) if stages else "–", f"{len(stages)} stages")
    if funnel is None:
        elsewhere = "taken_from" in stages.get("collect", {})
        return [("Questions", "–", "of another run" if elsewhere else "not collected yet"), time]
    asked = funnel.attempts
    return [
        ("Questions", count(funnel.questions), f"{asked:,} attempts"),
        ("Solved", percent(funnel.fates["right"] / asked, 0) if asked else "–", "of the attempts"),
        ("Mistakes", count(funnel.fates["wrong"]), f"{funnel.sent:,} sent to the corrector"),
        (
            "Repaired",
            count(funnel.repaired),
            percent(funnel.repaired / funnel.sent, 0) + " of those" if funnel.sent else "",
        ),
        ("Cost", f"{funnel.cost:,.2f}", f"{funnel.tokens:,} tokens"),
        time,
    ]


def _built(run: RunFolder) -> dict[str, Any]:
    """What the data card says of every arm, and the rows that build dropped as (kind, reason, rows)."""
    card = run.read_json("examples", "card.json") if run.exists("examples", "card.json") else {}
    dropped = card.get("dropped_in_build", {})
    return {
        "arms": {arm: _arm(counts) for arm, counts in card["arms"].items()} if "arms" in card else None,
        "build_drops": [(kind, reason, rows) for kind, reasons in dropped.items() for reason, rows in reasons.items()],
    }


def _arm(counts: dict[str, Any]) -> dict[str, Any]:
    train = counts.get("train", {})
    return {
        "rows": train.get("rows", 0),
        "kinds": ", ".join(f"{rows:,} {kind}" for kind, rows in train.get("rows_by_kind", {}).items()),
        "learned": train.get("learned_tokens", 0),
        "tokens": train.get("tokens", 0),
        "dev": counts.get("dev", {}).get("rows", 0),
        "matched": counts.get("matched_to"),
    }


def _collected(run: RunFolder, seed: int) -> tuple[Funnel | None, Gallery | None, Audit | None, Requests]:
    requests = Requests()
    if not run.files("collected", suffix=".parquet"):
        return None, None, None, requests
    funnel, gallery, audit = Funnel(), Gallery(seed), Audit(seed)
    for graded in run.read_records(GradedQuestion, "collected"):
        for counts in (funnel, gallery, audit, requests):
            counts.add(graded)
    audit.compare_again(second_comparison)
    return funnel, gallery, audit, requests


def _losses(run: RunFolder) -> dict[str, list[dict[str, float]]]:
    """Of every arm; where it was trained with several seeds, the first one's."""
    files = [name for name in run.files("models", suffix="/loss.json") if name.count("/") == 1]
    models = {name.split("/")[0]: name for name in files}
    return {m: run.read_json("models", name) for m, name in models.items() if m.rpartition("-seed")[0] not in models}


def _answers(run: RunFolder, main: Comparison | None) -> list[dict[str, Any]]:
    files = evaluation_files(run)
    if main is None or not {(main.baseline, main.sampling), (main.model, main.sampling)} <= files.keys():
        return []
    asked = {model: file for (model, sampling), file in files.items() if sampling == main.sampling}
    return exam_answers(run, asked, main.baseline, main.model)


def _asset(name: str) -> str:
    return resources.files("lema_ray").joinpath("report", name).read_text()
