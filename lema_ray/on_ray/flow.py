"""The stages of a run in their order. Each leaves its results in the run folder and is not done twice.

    questions -> collect -> build -> train -> evaluate -> report

`lema run`, the single commands and `jobs/` walk it; nothing else decides what comes after what.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import cached_property
from importlib import metadata
from itertools import islice
from typing import TYPE_CHECKING, Any

from lema_ray.brief import brief
from lema_ray.config import ConfigError, OpenAISpec, RunConfig, VLLMSpec, round_configs
from lema_ray.on_ray.launching import launched_config, open_and_close
from lema_ray.on_ray.logs import log
from lema_ray.planning.student import asked_student
from lema_ray.records import Question, content_id
from lema_ray.runs import RunFolder, open_run
from lema_ray.versions import versions

if TYPE_CHECKING:
    from lema_ray.evaluation.scores import Score


PROVEN_ON = 3
"""Questions that a trained model answers in vLLM and in transformers before its training counts as done."""


class Flow:
    """One run. Its methods are the stages; each returns the stage's counts, from the manifest if it is done.

    `redo_changed` lets a changed config do the stages it touches again (`runs.open_run`).
    """

    def __init__(self, config: RunConfig, redo_changed: bool = False) -> None:
        if config.rounds.count > 1:
            first = f"name={config.name}-r1 rounds=1"
            raise ConfigError(f"rounds: `lema run` walks all rounds; a single stage is one round's: give {first}")
        asked_student(config)
        self.config = config
        self.run: RunFolder = open_run(config, redo_changed)
        if not self.run.exists("manifest.json"):
            self.run.write_json({"versions": versions(), "seed": config.seed, "stages": {}}, "manifest.json")

    def stage(self, name: str, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Do a stage unless it is done, and note what it came to."""
        done = self.run.stage(name)
        if done is not None:
            print(f"{name}: done already ({done['seconds']} s), in {self.run.root}", flush=True)
            return done
        print(f"{name}: ...", flush=True)
        about, start = {"run": self.config.name, "stage": name}, time.monotonic()
        log.info("begins", extra=about)
        counts = work()
        self.run.record_stage(name, time.monotonic() - start, counts)
        print(f"{name}: {brief(name, counts)} in {time.monotonic() - start:.0f} s", flush=True)
        log.info("is done", extra=about | {"seconds": round(time.monotonic() - start, 2), "counts": counts})
        return counts

    def _need(self, stage: str, command: str) -> dict[str, Any]:
        note = self.run.stage(stage)
        if note is None:
            raise ConfigError(f"{self.run.root} has no finished {stage} stage yet; run `{command}` first")
        return note

    @cached_property
    def base(self) -> str:
        """The model that training starts from."""
        students = [s.engine.model for s in self.config.students if isinstance(s.engine, VLLMSpec)]
        base = self.config.train.base or (students[0] if students else None)
        if base is None:
            raise ConfigError("train.base: name the model to fine-tune; no student of this run is a vLLM model")
        return base

    def check_cluster(self) -> None:
        """Join or start the cluster, and fail before any work when it cannot hold a stage that is to be done."""
        from lema_ray.on_ray.cluster import check_plan, connect, stages

        pending = {stage: pools for stage, pools in stages(self.config).items() if self.run.stage(stage) is None}
        if pending:
            connect(self.config)
        for stage, pools in pending.items():
            check_plan(stage, pools)

    def check(self) -> None:
        """All that can be told before a whole run begins: does its plan fit, is every model there, every key good?"""
        self.check_cluster()
        if self.run.stage("collect") is None:
            self.check_engines()
        if self.run.stage("evaluate") is None:
            for engine in self.config.evaluate.models.values():
                if isinstance(engine, OpenAISpec) and not engine.launch:
                    asyncio.run(open_and_close(engine))

    def questions(self) -> dict[str, Any]:
        """Read, check and write the questions (or the attempts to import)."""
        from dataclasses import asdict

        from lema_ray.questions import prepare_attempts, prepare_questions

        if self.config.import_attempts:
            return self.stage("questions", lambda: asdict(prepare_attempts(self.config, self.run)))
        return self.stage(
            "questions", lambda: asdict(prepare_questions(self.config.questions, self.run, self.config.seed))
        )

    def check_engines(self) -> None:
        """Fail before any work: a model that is not there; an endpoint that is down or refuses the key or the model."""
        from lema_ray.models import check_model, resolve_model

        engines = [s.engine for s in (*self.config.students, *self.config.writers)] + [self.config.corrector.engine]
        for engine in engines:
            if isinstance(engine, VLLMSpec):
                check_model(resolve_model(engine.model))
            if isinstance(engine, OpenAISpec) and not engine.launch:
                asyncio.run(open_and_close(engine))

    def collect(self) -> dict[str, Any]:
        """Attempts, grades and corrections."""
        from lema_ray.on_ray.cluster import connect

        questions = self._need("questions", "lema questions")
        if self.run.stage("collect") is None:
            self.check_engines()
            connect(self.config)
        return self.stage("collect", lambda: self._collect(questions["train"]["questions"]))

    def _collect(self, rows: int) -> dict[str, Any]:
        from lema_ray.on_ray.collect import collect

        with ExitStack() as stack:
            return collect(launched_config(self.config, self.run, stack), self.run, rows)

    def build(self, collected: RunFolder | None = None, variants: bool = False) -> dict[str, Any]:
        """Records to training sets; of this run, or of another one's `collected`.

        With `variants` the mixes that the config names are tried first, and the best one is built.
        """
        from lema_ray.examples import build_examples
        from lema_ray.examples.variants import with_mix
        from lema_ray.models import context_length, resolve_model
        from lema_ray.on_ray.variants import try_variants

        self._need("collect", "lema collect")

        def work() -> dict[str, Any]:
            from transformers import AutoTokenizer

            path = resolve_model(self.base)
            tokenizer = AutoTokenizer.from_pretrained(path)
            limit = self.config.train.max_length or context_length(path)
            count = lambda text: len(tokenizer(text, add_special_tokens=False).input_ids)  # noqa: E731
            tried = try_variants(self) if variants else None
            config = with_mix(self.config, tried["best"]) if tried else self.config
            return build_examples(config, self.run, count, limit, collected, tried)

        return self.stage("build", work)

    def train(self) -> dict[str, Any]:
        """One fine-tuned model per arm and seed, each proven to load in vLLM and to answer."""
        from lema_ray.on_ray.cluster import check_plan, connect, gpus_are_free, train_pools

        self._need("build", "lema build")

        def work() -> dict[str, Any]:
            from lema_ray.on_ray.evaluate import examiners, proven, trained_spec
            from lema_ray.on_ray.trainer import train_arms

            connect(self.config)
            gpus_are_free("train")
            check_plan("train", train_pools(self.config))
            trained = train_arms(self.config, self.run, list(self.config.build.arms))
            gpus_are_free("the proof that the trained models load")
            with examiners(self.config) as pool:
                questions = list(islice(self.run.read_records(Question, "questions", "test.parquet"), PROVEN_ON))
                for name in trained:
                    spec = trained_spec(self.config, self.base, self.run.uri("models", name))
                    answer, agreed = proven(pool, self.config, spec, questions)
                    print(f"models/{name} loads in vLLM and answers: {' '.join(answer.split())[:100]}", flush=True)
                    same = f"{sum(a.tokens for a in agreed)} greedy tokens of {len(agreed)} answers"
                    print(f"models/{name} says the same in transformers: {same}", flush=True)
                    trained[name]["same_in_transformers"] = sum(a.tokens for a in agreed)
            return {"arms": trained}

        return self.stage("train", work)

    def verifier(self) -> dict[str, Any]:
        """A classifier of right and wrong solutions, trained on the collected attempts."""
        from lema_ray.on_ray.verifier import train_run_verifier

        self._need("collect", "lema collect")
        return self.stage("verifier", lambda: train_run_verifier(self.config, self.run, self.base))

    def evaluate(self) -> dict[str, Any]:
        """The base, every trained model and the models of `evaluate.models` on the held-out questions."""
        from lema_ray.on_ray.cluster import connect, gpus_are_free

        self._need(*(("train", "lema train") if self.config.evaluate.trained else ("questions", "lema collect")))

        def work() -> dict[str, Any]:
            from lema_ray.evaluation.scores import read_model_scores, score_run
            from lema_ray.on_ray.evaluate import engine_spec, examine_model, examiners, trained_spec

            connect(self.config)
            gpus_are_free("evaluate")
            models = dict(self.config.evaluate.models)
            if self.config.evaluate.trained:
                ours = {"base": engine_spec(self.config, self.base)}
                for name in self.config.trained:
                    ours[name] = trained_spec(self.config, self.base, self.run.uri("models", name))
                models = ours | models
            took = {}
            with examiners(self.config) as pool:
                for name, spec in models.items():
                    for sampling, seconds in examine_model(pool, self.config, self.run, name, spec).items():
                        took[name, sampling] = seconds
            samplings, modes = [s.name for s in self.config.evaluate.sampling], self.config.evaluate.also_graded_by
            arms = {name: made.arm for name, made in self.config.trained.items()}
            scores, _ = score_run(self.run, list(models), samplings, took, modes, arms)
            self._score_cards(read_model_scores(self.run))
            return {"pass_at_1": {f"{s.model} {s.sampling}": round(s.pass_at_1, 4) for s in scores}}

        return self.stage("evaluate", work)

    def _score_cards(self, scores: Sequence[Score]) -> None:
        """Write each trained model's scores into its model card."""
        from lema_ray.training.model_card import with_scores

        for name in self.config.trained:
            rows = [
                (s.sampling, f"{s.pass_at_1:.1%}", f"{s.low:.1%} to {s.high:.1%}") for s in scores if s.model == name
            ]
            if rows and self.run.exists("models", name, "README.md"):
                card = with_scores(self.run.read_text("models", name, "README.md"), rows)
                self.run.write_text(card, "models", name, "README.md")

    def report(self) -> str:
        """The page, unless there is one of these very stages; returns where it is. `lema report` makes it anew."""
        from lema_ray.report import write_report

        manifest = self.run.manifest
        shown = content_id(metadata.version("lema-ray"), json.dumps(manifest["stages"], sort_keys=True))
        if manifest.get("reported") == shown and self.run.exists("report.html"):
            return self.run.uri("report.html")
        where = write_report(self.run)
        self.run.write_json(manifest | {"reported": shown}, "manifest.json")
        print(f"report: {where}", flush=True)
        return where


def run_all(config: RunConfig, redo_changed: bool = False) -> str:
    """The whole run, or all its rounds; returns one line that says what it showed."""
    from lema_ray.evaluation.compare_rounds import write_rounds
    from lema_ray.evaluation.scores import read_scores
    from lema_ray.report import headline

    rounds = round_configs(config)
    runs, said = [], []
    for each in rounds:
        flow = Flow(each, redo_changed)
        flow.check()
        flow.questions()
        flow.collect()
        flow.build(variants=each.variants is not None)
        flow.train()
        flow.evaluate()
        flow.report()
        runs.append(flow.run)
        said.append(headline(*read_scores(flow.run)))
        if len(rounds) > 1:
            print(f"{each.name}: {said[-1]}", flush=True)
            print(f"rounds so far: {write_rounds(config.folder, runs)}", flush=True)
    return said[-1]
